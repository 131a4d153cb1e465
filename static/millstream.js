/** Millstream's client for browsers, from Internet Explorer 10 and WebKit 534 on; see README.md. MIT. */
(function (window) {
'use strict';

/** In ms if not said otherwise; may be changed before `open`. */
var LIMITS = {
	start: 4000, // until `start`, which the server sends within 2 s
	beside: 2200, // until a way that shows nothing is polled beside: longer than the server takes to `start`
	silence: 35000, // heartbeats come every 15 s
	burst: 2500, // what comes at once after so long was held back
	renew: 262144, // characters an XMLHttpRequest keeps
	wait: 20, // s, of a long poll
	pause: 100, // between polls: servers count them
	retry: 500, // then twice as long each, to 16 s
	retries: 10, // in a row
	connections: 5 // held over HTTP/1.1, by all tabs: browsers open six to a host
};

// ---- parser: text → events; pure ----

/**
 * https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
 * @constructor
 * @param {function({type, data, id})} onevent
 * @param {string=} id the last one of the connection before
 */
function Parser(onevent, id) {
	this.lastId = this._id = id || ''; // lastId: of the last whole event
	this.retry = null; // ms
	this._onevent = onevent;
	this._type = this._data = this._rest = '';
}

/** @param {string} text the next piece, cut anywhere, without a byte order mark */
Parser.prototype.feed = function (text) {
	var end = /\r\n?|\n/g, at = 0, match;
	if (!text) return;
	if (this._cr && text.charAt(0) === '\n') text = text.slice(1); // the other half of a CRLF
	end.lastIndex = this._rest.length;
	text = this._rest + text;
	while ((match = end.exec(text))) {
		this._line(text.slice(at, match.index));
		at = end.lastIndex;
	}
	this._rest = text.slice(at);
	this._cr = !this._rest && text.charAt(at - 1) === '\r';
};

Parser.prototype._line = function (line) {
	var name = line.split(':', 1)[0], value = line.slice(name.length + 1).replace(/^ /, ''), event;
	if (name === 'data') this._data += value + '\n';
	else if (name === 'event') this._type = value;
	else if (name === 'id' && value.indexOf('\0') < 0) this._id = value;
	else if (name === 'retry' && /^\d{1,15}$/.test(value)) this.retry = +value;
	if (line) return;
	event = this._data && {type: this._type || 'message', data: this._data.slice(0, -1), id: this._id};
	this.lastId = this._id;
	this._type = this._data = '';
	if (event) this._onevent(event);
};

// ---- transports: a request → what comes, told to a sink ----

var SSE = 'text/event-stream', now = Date.now;

function mayPass(status) { return !status || status === 429 || status >= 500; }

function parse(text) { try { return JSON.parse(text); } catch (error) { } }

function merged(one, other) {
	var all = {};
	[one, other].forEach(function (some) { for (var name in some) all[name] = some[name]; });
	return all;
}

function isEventStream(type) { return /^\s*text\/event-stream\s*(;|$)/i.test(type); }

/** One XMLHttpRequest. With text(piece, length) it is an event stream from open(xhr) on, or ends: end(xhr, opened). */
function send(ask, on) {
	var xhr = new XMLHttpRequest(), length = 0, over, opened, type, text, name;
	function look() {
		if (over || xhr.readyState < 2) return;
		if (on.text && xhr.status === 200 && !opened) {
			type = xhr.getResponseHeader('Content-Type');
			opened = isEventStream(type);
			// It is UTF-8. Told earlier, browsers change the header; WebKit 538 doesn't listen now.
			if (/charset=(?!utf-8)/i.test(type) && xhr.readyState < 3) xhr.overrideMimeType(SSE + ';charset=utf-8');
			if (opened) on.open(xhr);
		}
		if (!over && opened && xhr.readyState > 2 && (text = xhr.responseText.slice(length))) {
			length += text.length;
			on.text(text, length);
		}
		if (over || (xhr.readyState < 4 && (opened || !on.text || xhr.status !== 200))) return;
		over = true;
		on.end(xhr, opened);
		if (xhr.readyState < 4) xhr.abort();
	}
	xhr.open(ask.method, ask.url, true);
	xhr.withCredentials = !!ask.withCredentials;
	for (name in ask.headers) xhr.setRequestHeader(name, ask.headers[name]);
	xhr.onreadystatechange = xhr.onprogress = look; // Internet Explorer tells of more text by the second
	xhr.onabort = function () { xhr.stopped = true; }; // window.stop(): told after readyState 4
	xhr.send(ask.body || null);
	return function () {
		over = true;
		xhr.abort();
	};
}

function refused(xhr, sink) {
	if (!xhr.status || xhr.status === 200) sink.lost(); // 200: cut, or another's page
	else sink.refuse(xhr.status, xhr.responseText, xhr.getResponseHeader('Retry-After'));
}

/** For the events of a stream; their ids are {stream}.{n}. */
function telling(sink) {
	return function (event) {
		var n = /\.(\d+)$/.exec(event.id), data = parse(event.data);
		if (n && data) sink.event(event.type, +n[1], data);
		else sink.lost(); // half a line glued to another
	};
}

/** Asks for the events after one; `then` is called if more will come. */
function poll(ask, after, wait, sink, then) {
	return send(merged(ask, {method: 'GET', url: ask.at('json', after) + '&wait=' + wait}), {end: function (xhr) {
		var answer = xhr.status === 200 && parse(xhr.responseText);
		if (!answer) return refused(xhr, sink);
		sink.byte();
		sink.event('start', 0, answer);
		answer.events.forEach(function (event) { sink.event(event.type, event.n, event); });
		if (/done|failed/.test(answer.status)) sink.over(answer.status);
		else then(Math.max(after, answer.last));
	}});
}

/** Each returns what ends its request. `ask.at(format, after)` is the stream's address. */
var TRANSPORTS = {
	fetch: function (ask, sink) {
		var parser = new Parser(telling(sink)), decoder = new TextDecoder(), over = false, reader;
		var stopper = window.AbortController && new AbortController(); // not in Chromium before 66
		function next() {
			reader.read().then(function (part) {
				if (part.done || over) return sink.lost();
				sink.byte();
				parser.feed(decoder.decode(part.value, {stream: true}));
				next();
			}).then(null, sink.lost);
		}
		function cancel() {
			over = true;
			if (stopper) stopper.abort();
			else if (reader) reader.cancel();
		}
		fetch(ask.url, {method: ask.method, headers: ask.headers, body: ask.body,
			credentials: ask.withCredentials ? 'include' : 'same-origin', signal: stopper && stopper.signal
		}).then(function (response) {
			var headers = response.headers;
			if (response.status !== 200) return response.text().then(function (text) {
				sink.refuse(response.status, text, headers.get('Retry-After'));
			});
			if (!isEventStream(headers.get('Content-Type'))) return sink.blocked();
			sink.locate(headers.get('Content-Location'));
			reader = response.body.getReader();
			if (over) cancel(); else next();
		}).then(null, sink.lost);
		return cancel;
	},

	eventsource: function (ask, sink) {
		var Native = Object.keys(ask.headers).length < 2 && window.EventSource, tell = telling(sink), abort; // it has Accept alone
		var source = new (Native || Source)(ask.url, ask);
		['start', 'message', 'reasoning', 'call', 'choice', 'done', 'failed'].forEach(function (type) {
			source.addEventListener(type, function (event) {
				sink.byte();
				tell({type: type, data: event.data, id: event.lastEventId});
			});
		});
		source.onerror = function () {
			var refused = source.readyState === 2;
			// It would come back by itself, but old WebKits and Chromium 49 glue half a line to what comes then.
			source.close();
			if (!refused) return sink.lost();
			abort = poll(ask, ask.after, 0, sink, sink.blocked); // it doesn't say why
		};
		return function () {
			source.close();
			if (abort) abort();
		};
	},

	xhr: function (ask, sink) {
		var parser = new Parser(telling(sink));
		return send(ask, {
			open: function (xhr) { sink.locate(xhr.getResponseHeader('Content-Location')); },
			text: function (text, length) {
				sink.byte();
				parser.feed(text);
				if (length > LIMITS.renew) sink.renew();
			},
			end: function (xhr, opened) {
				if (!opened && xhr.status === 200) sink.blocked();
				else refused(xhr, sink);
			}
		});
	},

	poll: function (ask, sink) {
		var abort, timer;
		function next(after, wait) {
			abort = poll(ask, after, wait, sink, function (last) {
				// Where connections are few none is held.
				timer = setTimeout(function () { next(last, ask.crowded ? 0 : LIMITS.wait); }, ask.crowded ? 500 : LIMITS.pause);
			});
		}
		next(ask.after, 0);
		return function () {
			clearTimeout(timer);
			abort();
		};
	}
};

/** This browser's transports, best first: two that stream, if there are, then polling. */
function usable(headers) {
	var names = [];
	// Firefox < 65 has no body, Edge < 79 no TextDecoder.
	if (window.fetch && window.TextDecoder && 'body' in Response.prototype) names.push('fetch');
	if (window.EventSource && !Object.keys(headers).length) names.push('eventsource'); // it sends no headers
	return names.concat(names.length < 2 ? ['xhr', 'poll'] : 'poll');
}

// ---- EventSource over XHR ----

/** What the callback throws is the page's own. */
function call(callback, self, value) {
	try { callback.call(self, value); } catch (error) { setTimeout(function () { throw error; }); }
}

/** A header's value is bytes: an id goes back as the UTF-8 that it came in. */
function bytes(text) {
	return encodeURIComponent(text).replace(/%(..)/g, function (all, hex) { return String.fromCharCode(parseInt(hex, 16)); });
}

function refusal(name, message) {
	var error = new Error(message);
	try { return new DOMException(message, name); } catch (old) { error.name = name; }
	return error;
}

/**
 * For browsers where the standard's is missing or broken.
 * @constructor
 * @param {string} url
 * @param {Object=} options withCredentials and, our own, headers
 */
function Source(url, options) {
	var self = this, heard = {}, pause = 3000, more = options || {}, headers = merged({Accept: SSE}, more.headers), abort, timer;
	var link = document.createElement('a');

	function fire(type, facts) {
		var event = merged({type: type, target: self, currentTarget: self, bubbles: false, cancelable: false, defaultPrevented: false}, facts);
		var own = self['on' + type];
		(own ? [own] : []).concat(heard[type] || []).forEach(function (listener) {
			call(listener.handleEvent || listener, listener.handleEvent ? listener : self, event);
		});
	}

	function fail(state) {
		self.readyState = state;
		fire('error');
		if (!self.readyState) timer = setTimeout(connect, pause);
	}

	function connect() {
		var origin, parser = new Parser(function (event) {
			self.lastEventId = event.id;
			if (self.readyState < 2) fire(event.type, {data: event.data, lastEventId: event.id, origin: origin, ports: [], source: null});
		}, self.lastEventId);
		self.readyState = 0;
		if (self.lastEventId) headers['Last-Event-ID'] = bytes(self.lastEventId);
		else delete headers['Last-Event-ID'];
		abort = send({method: 'GET', url: url, headers: headers, withCredentials: self.withCredentials}, {
			open: function (xhr) {
				origin = (xhr.responseURL || url).split('/', 3).join('/'); // after redirects
				self.readyState = 1;
				fire('open');
			},
			text: function (text) {
				parser.feed(text);
				self.lastEventId = parser.lastId;
				if (parser.retry !== null) pause = parser.retry;
			},
			end: function (xhr, opened) {
				timer = setTimeout(function () { fail((opened || !xhr.status) && !xhr.stopped ? 0 : 2); });
			}
		});
	}

	link.href = url + '';
	url = self.url = link.href || location.href; // Internet Explorer has "" for ""
	if (/^https?:\/*(?:[^\/]*[\s%<>^|]|$)/.test(url)) throw refusal('SyntaxError', 'Millstream: no address: "' + url + '"');
	// No cache may answer; but over origins this header would need the server's leave.
	if (url.split('/', 3).join('/') === location.protocol + '//' + location.host) headers['Cache-Control'] = 'no-cache';
	self.withCredentials = !!more.withCredentials;
	self.lastEventId = '';
	self.onopen = self.onmessage = self.onerror = null;
	self.removeEventListener = function (type, listener) {
		heard[type] = (heard[type] || []).filter(function (other) { return other !== listener; });
	};
	self.addEventListener = function (type, listener) {
		self.removeEventListener(type, listener);
		heard[type].push(listener);
	};
	self.close = function () {
		self.readyState = 2;
		clearTimeout(timer);
		if (abort) abort();
	};
	self.readyState = 0;
	if (/^(https?|blob|data|file):/.test(url)) connect();
	else timer = setTimeout(function () { fail(2); });
}

['CONNECTING', 'OPEN', 'CLOSED'].forEach(function (name, state) { Source[name] = Source.prototype[name] = state; });

// ---- stream: resume, watchdog, step-down ----

var OPEN = 'millstream.open.', chosen = '', down = ''; // down: left for a lesser one, told once

function stored(name, use) { try { return use(window[name]); } catch (error) { } }

/** The session's transport; with a name, from now on. */
function choice(name) {
	chosen = name || chosen;
	return stored('sessionStorage', function (store) {
		if (name) store.setItem('millstream.transport', name);
		return store.getItem('millstream.transport');
	}) || chosen;
}

/**
 * Over HTTP/1.1 the five oldest streams of all tabs may hold a connection; a sixth would stop the site. Each leaves a sign of
 * life in localStorage, good for longer than a hidden tab's timers may be off.
 */
function mayHold(slot) {
	return stored('localStorage', function (store) {
		var slots = [], name, i;
		store.setItem(slot, now());
		for (i = store.length; i--;) {
			name = store.key(i);
			if (name.indexOf(OPEN)) continue;
			if (Math.abs(now() - store.getItem(name)) < 75000) slots.push(name);
			else store.removeItem(name);
		}
		if (slots.sort().indexOf(slot) < LIMITS.connections) return true;
		name = window.performance && performance.getEntriesByType && performance.getEntriesByType('navigation')[0];
		return /^h[23]/.test(name && name.nextHopProtocol);
	}) !== false;
}

function open(options) {
	var own = options.headers || {}, names = usable(own), forced = options.transport || 'auto', resume = options.resume || {};
	var url = options.url || '/chat', base = url.replace(/\/chat$/, ''), slot = OPEN + now() + Math.random();
	var attempt = 0, way, sink, abort, timer, asked, first, started; // of this connection
	var beat = 0, begun, missed, stopping, crowded, over, aside, side, helped; // of the stream
	var stream = {id: '', url: '', after: +resume.after || 0, transport: '', state: 'connecting', stop: stop,
		close: function () { if (!over) end('closed'); },
		key: options.key || slot + Math.random()};

	if (forced !== 'auto' && !TRANSPORTS.hasOwnProperty(forced)) {
		throw new TypeError('Millstream: transport is "' + forced + '"; use auto, fetch, eventsource, xhr or poll');
	}
	forced = forced !== 'auto' && (forced !== 'fetch' || names[0] === forced);
	if (forced) names = [options.transport];
	way = Math.max(0, names.indexOf(choice()));

	function tell(name, value) { if (stream[name] && stream.state !== 'closed') call(stream[name], stream, value); }

	/** For the operator's figures. */
	function via(url) {
		return url + (/\?/.test(url) ? '&' : '?') + 'via=' + (crowded ? 'crowded' : stream.transport) + (down && '&from=' + down);
	}

	function at(format, after) { return via(stream.url) + '&format=' + format + '&after=' + after; }

	function request(method, url, headers, body) {
		return {method: method, url: url, headers: merged(own, headers), body: body, withCredentials: options.withCredentials,
			at: at, after: stream.after, crowded: crowded};
	}

	function question(url, accept) {
		return request('POST', via(url), {Accept: accept, 'Content-Type': 'application/json', 'Idempotency-Key': stream.key},
			JSON.stringify(options.body || {}));
	}

	function stop() {
		stopping = true;
		if (over || !stream.url) return; // once it has an address
		send(request('POST', stream.url + '/stop'), {end: function (xhr) {
			if (mayPass(xhr.status)) setTimeout(stop, 1000);
		}});
	}

	function drop() {
		var ending = abort;
		clearTimeout(timer);
		sink = abort = null;
		if (ending) ending();
	}

	function connect() {
		var mine = {}, name;
		drop();
		crowded = !mayHold(slot) && !forced;
		name = crowded ? 'poll' : names[way];
		if (name !== stream.transport) tell('ontransport', stream.transport = name);
		if (over) return;
		sink = mine;
		Object.keys(hears).forEach(function (word) {
			mine[word] = function (a, b, c) { if (sink === mine) hears[word](a, b, c); };
		});
		asked = now();
		first = started = 0;
		watch(LIMITS.start);
		clearTimeout(aside);
		if (names[way + 1] && !crowded) aside = setTimeout(pollBeside, LIMITS.beside);
		try {
			abort = stream.url ? TRANSPORTS[name](request('GET', at('sse', stream.after), {Accept: SSE}), mine)
				: /^[ep]/.test(name) ? begin(mine, connect) : TRANSPORTS[name](question(url, SSE), mine);
		} catch (error) { mine.blocked(); } // PhantomJS 1.9 at an EventSource of another origin
		down = '';
	}

	/** For transports that can only GET. */
	function begin(mine, then) {
		return send(question(base + '/streams', 'application/json'), {end: function (xhr) {
			var answer = xhr.status === 201 && parse(xhr.responseText);
			if (!answer) return refused(xhr, mine);
			hears.locate(answer.url);
			then();
		}});
	}

	/** Something withholds what this way brings, it seems: polls give the words until a way is found that brings them. */
	function pollBeside() {
		var mine = {lost: endBeside, refuse: endBeside}, ending;
		function follow() { if (side) ending = TRANSPORTS.poll(request('GET'), mine); }
		if (over || first || side) return;
		mine.byte = function () {};
		mine.event = function (type, n, data) {
			if (!side) return;
			if (type === 'start') return begins(data);
			helped = true;
			hears.event(type, n, data);
		};
		mine.over = function (status) { if (side) hears.over(status); };
		side = function () { if (ending) ending(); };
		if (stream.url) follow();
		else ending = begin(mine, follow);
	}

	function endBeside() {
		if (side) side();
		side = null;
	}

	function begins(data) {
		stream.state = 'open';
		if (!begun) tell('onstart', {id: stream.id, url: stream.url, model: data.model || null});
		begun = true;
	}

	function watch(time) {
		var due;
		if (way === names.length - 1) time = Math.max(time, 4 * LIMITS.start); // the last way
		due = now() + time;
		clearTimeout(timer);
		timer = setTimeout(function () {
			// The computer slept, or an EventSource hides heartbeats.
			if (now() - due > 2000 || (started && stream.transport === 'eventsource')) connect();
			else hears.blocked();
		}, time);
	}

	function end(state) {
		over = true;
		stream.state = state;
		if (state !== 'closed' && abort) { // it ends by itself; its connection is reused
			setTimeout(abort, 1000);
			abort = null;
		}
		drop();
		clearTimeout(aside);
		endBeside();
		listen('remove');
		leave();
	}

	function leave() { stored('localStorage', function (store) { store.removeItem(slot); }); }

	function listen(verb) {
		window[verb + 'EventListener']('online', retry);
		window[verb + 'EventListener']('pagehide', leave);
	}

	function retry() { if (stream.state === 'retrying') connect(); }

	function fail(code, error, status, retryAfter) {
		end('failed');
		tell('onfail', merged({message: 'The answer failed: ' + code + '.', code: code, type: 'server_error', param: null,
			status: status || 0, retryAfter: retryAfter || null, accepted: stream.url ? true : status ? false : null}, error));
	}

	/** What transports tell. */
	var hears = {
		byte: function () {
			first = first || now();
			endBeside();
			if (started) watch(LIMITS.silence);
			if (now() - beat < 1000) return;
			beat = now();
			if (mayHold(slot) && crowded) connect();
		},
		locate: function (path, given) {
			var id = /\/([\w-]{22})$/.exec(path);
			if (stream.url || !id) return;
			stream.id = id[1];
			stream.url = given || base + '/streams/' + stream.id;
			if (stopping) stop();
		},
		event: function (type, n, data) {
			if (type === 'start') return hears.start(data);
			if (n <= stream.after) return; // a repeat
			if (n > stream.after + 1) return hears.lost(); // a gap
			stream.after = n;
			attempt = 0;
			if (type === 'message') tell('ontext', data.text);
			else if (type === 'reasoning') tell('onreasoning', data.text);
			else if (type === 'call') tell('oncall', data);
			else if (type === 'done') hears.over(type, data);
			else if (type === 'failed') fail(type, data.error);
		},
		start: function (data) {
			hears.locate('/' + data.id);
			if (way) choice(names[way]);
			started = true;
			watch(LIMITS.silence);
			if (stream.state === 'open') return;
			begins(data);
			if (missed) tell('onback');
			missed = false;
		},
		over: function (status, facts) {
			if (status === 'failed') return fail(status);
			// In one burst: not this way again.
			if (!crowded && names[way + 1] && (helped || first - asked > LIMITS.burst) && (!first || now() - first < 200)) {
				choice(names[way + 1]);
				down = names[way];
			}
			end('done');
			tell('ondone', facts || {});
		},
		refuse: function (status, text, after) {
			var seconds = /^\d+$/.test(after) ? +after : null, error = (parse(text) || {}).error || {};
			if (status === 204) abort = poll(merged(request(), {at: at}), stream.after, 0, sink, sink.lost); // how did it end?
			// There is an answer, or may be. Its log may lag.
			else if (error.code === 'bad_position' ? attempt < 4 : (stream.url || attempt) && mayPass(status)) hears.lost(seconds);
			else fail('bad_response', error, status, seconds);
		},
		lost: function (seconds) {
			var wait = LIMITS.retry * Math.pow(2, Math.min(attempt++, 5)) * (0.5 + Math.random());
			drop();
			if (attempt > LIMITS.retries && navigator.onLine !== false) return fail('connection_lost');
			stream.state = 'retrying';
			missed = true;
			timer = setTimeout(connect, Math.max(wait, 1000 * seconds || 0));
			tell('onretry', attempt);
		},
		renew: connect,
		/** The next transport follows the same stream. */
		blocked: function () {
			if (!names[way + 1]) return hears.lost();
			down = names[way++];
			connect();
		}
	};

	hears.locate(resume.url, resume.url);
	listen('add');
	timer = setTimeout(connect); // its callbacks are set first
	return stream;
}

window.Millstream = {
	/**
	 * Asks, or follows what `resume` names. README.md tells of all that the stream calls and has.
	 * @param {Object} options url, body, headers, withCredentials, transport, key, resume
	 * @return {Object} the stream
	 */
	open: function (options) { return open(options || {}); },
	EventSource: Source,
	Parser: Parser,
	limits: LIMITS
};
})(window);
