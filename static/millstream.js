/**
 * Millstream's client for browsers, from Internet Explorer 10 and WebKit 534 on: ES5, no build, no dependency, one
 * global. README.md beside it shows its use. MIT licence.
 */
(function (window) {
'use strict';

/** In ms where nothing else is said; may be changed before `open`. */
var LIMITS = {
  start: 4000, // until the event `start`, which the server sends within 2 s
  silence: 35000, // without a byte; heartbeats come every 15 s
  burst: 2500, // an answer that comes at once after so long was held back
  renew: 262144, // characters that an XMLHttpRequest keeps in memory
  wait: 20, // seconds of a long poll
  pause: 100, // between two polls: servers count them
  retries: 10, // connections lost in a row until the stream fails
  connections: 5 // held over HTTP/1.1, by all tabs: browsers open six to one host
};

// ---- parser: text → events; pure ----

/**
 * Reads an event stream: https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
 * @constructor
 * @param {function({type: string, data: string, id: string})} onevent
 * @param {string=} id the last one of the connection before
 */
function Parser(onevent, id) {
  this.lastId = this._id = id || ''; // lastId: of the last whole event
  this.retry = null; // ms, where the stream sets it
  this._onevent = onevent;
  this._type = this._data = this._rest = '';
}

/** @param {string} text the next piece, cut anywhere; the decoder has taken a byte order mark off */
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

var SSE = 'text/event-stream';

function now() { return new Date().getTime(); }

function parse(text) { try { return JSON.parse(text); } catch (error) { return null; } }

function merged(one, other) {
  var all = {};
  [one, other].forEach(function (some) { for (var name in some) all[name] = some[name]; });
  return all;
}

function isEventStream(type) { return /^\s*text\/event-stream\s*(;|$)/i.test(type); }

/**
 * One XMLHttpRequest; `end(xhr, opened)` when it is over. With `text(piece, length so far)` it is an event stream:
 * `open(xhr)` when it begins, and the end comes at once where it is something else.
 */
function send(ask, on) {
  var xhr = new window.XMLHttpRequest(), length = 0, over = false, opened = false, name;
  function finish() {
    over = true;
    on.end(xhr, opened);
  }
  function look() {
    var text;
    if (over || xhr.readyState < 2) return;
    if (on.text && xhr.status === 200 && !opened) {
      opened = isEventStream(xhr.getResponseHeader('Content-Type'));
      if (!opened) return finish(xhr.abort());
      on.open(xhr);
    }
    if (!over && opened && xhr.readyState > 2 && (text = xhr.responseText.slice(length))) {
      length += text.length;
      on.text(text, length);
    }
    if (!over && xhr.readyState === 4) finish();
  }
  xhr.open(ask.method, ask.url, true);
  xhr.withCredentials = !!ask.withCredentials;
  if (on.text && xhr.overrideMimeType) xhr.overrideMimeType(SSE + ';charset=utf-8'); // whatever the server says
  for (name in ask.headers) xhr.setRequestHeader(name, ask.headers[name]);
  xhr.onreadystatechange = xhr.onprogress = look; // Internet Explorer tells of more text by the second only
  xhr.send(ask.body || null);
  return function () {
    over = true;
    xhr.abort();
  };
}

function refused(xhr, sink) {
  if (xhr.status) sink.refuse(xhr.status, xhr.responseText, xhr.getResponseHeader('Retry-After'));
  else sink.lost();
}

/** For the events of a stream; their ids are {stream}.{n}. */
function telling(sink) {
  return function (event) {
    var n = /\.(\d+)$/.exec(event.id), data = parse(event.data);
    if (n && data) sink.event(event.type, +n[1], data);
    else sink.lost(); // a half line that was glued to another one on the way
  };
}

/** Asks for the events after one; `then` is called if more will come. */
function poll(ask, after, wait, sink, then) {
  return send(merged(ask, {method: 'GET', url: ask.at('json', after) + '&wait=' + wait}), {end: function (xhr) {
    var answer = xhr.status === 200 && parse(xhr.responseText);
    if (!answer) return xhr.status === 200 ? sink.lost() : refused(xhr, sink);
    sink.byte();
    sink.event('start', 0, answer);
    answer.events.forEach(function (event) { sink.event(event.type, event.n, event); });
    if (/done|failed/.test(answer.status)) sink.over(answer.status);
    else then(Math.max(after, answer.last));
  }});
}

/** Each starts a request and returns what ends it. `ask.at(format, after)` is the address of the stream. */
var TRANSPORTS = {
  fetch: function (ask, sink) {
    var parser = new Parser(telling(sink)), decoder = new window.TextDecoder(), over = false, reader;
    var stopper = window.AbortController && new window.AbortController(); // not in Chromium before 66
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
      else if (reader) reader.cancel().then(null, function () {});
    }
    window.fetch(ask.url, {method: ask.method, headers: ask.headers, body: ask.body, cache: 'no-store',
      credentials: ask.withCredentials ? 'include' : 'same-origin', signal: stopper ? stopper.signal : undefined
    }).then(function (response) {
      var headers = response.headers;
      if (response.status !== 200) {
        return response.text().then(function (text) { sink.refuse(response.status, text, headers.get('Retry-After')); });
      }
      if (!isEventStream(headers.get('Content-Type'))) return sink.blocked();
      sink.locate(headers.get('Content-Location'));
      reader = response.body.getReader();
      if (over) cancel(); else next();
    }).then(null, sink.lost);
    return cancel;
  },

  eventsource: function (ask, sink) {
    var Native = !Object.keys(ask.own).length && window.EventSource, tell = telling(sink), abort;
    var source = new (Native || Source)(ask.at('sse', ask.after), {withCredentials: ask.withCredentials, headers: ask.own});
    ['start', 'message', 'reasoning', 'done', 'failed'].forEach(function (type) {
      source.addEventListener(type, function (event) {
        sink.byte();
        tell({type: type, data: event.data, id: event.lastEventId});
      }, false);
    });
    source.onerror = function () {
      var refused = source.readyState === 2;
      // It would come back by itself, but old WebKits and Chromium 49 glue half a line to what comes then.
      source.close();
      if (!refused) return sink.lost();
      abort = poll(ask, ask.after, 0, sink, function () { sink.lost(); }); // it doesn't say why
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
        if (opened) sink.lost();
        else if (xhr.status === 200) sink.blocked();
        else refused(xhr, sink);
      }
    });
  },

  poll: function (ask, sink) {
    var pause = LIMITS.pause, abort, timer;
    function next(after, wait) {
      abort = poll(ask, after, wait, sink, function (last) {
        // Where connections are few, none is held: others want to stop, or to load their page.
        pause = !ask.crowded ? LIMITS.pause : last > after ? 300 : Math.min(pause * 1.5, 2000);
        timer = setTimeout(function () { next(last, ask.crowded ? 0 : LIMITS.wait); }, pause);
      });
    }
    next(ask.after, 0); // shows at once whether this way works
    return function () {
      clearTimeout(timer);
      abort();
    };
  }
};

/** This browser's transports, best first: two that stream, if there are, then polling. */
function usable(headers) {
  var names = [];
  // Firefox before 65 has no body, Edge before 79 no TextDecoder.
  if (window.fetch && window.TextDecoder && 'body' in window.Response.prototype) names.push('fetch');
  if (window.EventSource && !Object.keys(headers).length) names.push('eventsource'); // it sends no headers
  return names.concat(names.length < 2 ? ['xhr', 'poll'] : 'poll');
}

// ---- EventSource over XMLHttpRequest ----

/** Calls back. What the callback throws is the page's own, and must not end the stream. */
function call(callback, self, value) {
  try { callback.call(self, value); } catch (error) { setTimeout(function () { throw error; }, 0); }
}

/**
 * Shaped like the standard's, for browsers where that is missing or broken.
 * @constructor
 * @param {string} url
 * @param {{withCredentials: boolean, headers: Object}=} options `headers` is an addition
 */
function Source(url, options) {
  var link = window.document.createElement('a');
  link.href = url;
  this.url = link.href;
  this.withCredentials = !!(options && options.withCredentials);
  this.lastEventId = '';
  this.onopen = this.onmessage = this.onerror = null;
  this._headers = merged({Accept: SSE}, options && options.headers);
  this._listeners = {};
  this._retry = 3000;
  this._connect();
}

Source.CONNECTING = Source.prototype.CONNECTING = 0;
Source.OPEN = Source.prototype.OPEN = 1;
Source.CLOSED = Source.prototype.CLOSED = 2;

Source.prototype.addEventListener = function (type, listener) {
  this.removeEventListener(type, listener);
  this._listeners[type].push(listener);
};

Source.prototype.removeEventListener = function (type, listener) {
  this._listeners[type] = (this._listeners[type] || []).filter(function (other) { return other !== listener; });
};

Source.prototype.close = function () {
  this.readyState = 2;
  clearTimeout(this._timer);
  this._abort();
};

Source.prototype._fire = function (type, more) {
  var self = this, event = merged({type: type, target: this}, more), own = /^(open|message|error)$/.test(type) && this['on' + type];
  (own ? [own] : []).concat(this._listeners[type] || []).forEach(function (listener) {
    call(listener.handleEvent || listener, listener.handleEvent ? listener : self, event);
  });
};

Source.prototype._connect = function () {
  var self = this, parser = new Parser(function (event) {
    self.lastEventId = event.id;
    if (self.readyState < 2) {
      self._fire(event.type, {data: event.data, lastEventId: event.id, origin: self.url.split('/', 3).join('/')});
    }
  }, this.lastEventId);
  this.readyState = 0;
  this._headers = merged(this._headers, this.lastEventId ? {'Last-Event-ID': this.lastEventId} : {});
  this._abort = send({method: 'GET', url: this.url, headers: this._headers, withCredentials: this.withCredentials}, {
    open: function () {
      self.readyState = 1;
      self._fire('open');
    },
    text: function (text) {
      parser.feed(text);
      self.lastEventId = parser.lastId;
      if (parser.retry !== null) self._retry = parser.retry;
    },
    end: function (xhr, opened) {
      self.readyState = opened || !xhr.status ? 0 : 2;
      self._fire('error');
      if (!self.readyState) self._timer = setTimeout(function () { self._connect(); }, self._retry);
    }
  });
};

// ---- stream: resume, watchdog, step-down ----

var CHOICE = 'millstream.transport', OPEN = 'millstream.open.', STALE = 75000, choice = '';

/** What `use` makes of a storage; undefined where it is forbidden or full. */
function stored(name, use) { try { return use(window[name]); } catch (error) { return undefined; } }

function remember(name) {
  choice = name;
  stored('sessionStorage', function (store) { store.setItem(CHOICE, name); });
}

function recall() { return stored('sessionStorage', function (store) { return store.getItem(CHOICE); }) || choice; }

function isMultiplexed() {
  try {
    return /^h[23]/.test(window.performance.getEntriesByType('navigation')[0].nextHopProtocol);
  } catch (error) { return false; }
}

/**
 * Whether a stream may hold a connection: over HTTP/1.1 the five oldest of all tabs may; a sixth would stop the rest of the
 * site. Each leaves a sign of life in localStorage: every browser has it, all tabs share it. One that crashed leaves
 * it STALE, longer than the minute between two timers of a tab that Chromium hides. A wrong count costs a poll, no more.
 */
function mayHold(slot) {
  return stored('localStorage', function (store) {
    var slots = [], name, i;
    store.setItem(slot, now());
    for (i = store.length - 1; i >= 0; i--) {
      name = store.key(i);
      if (name.indexOf(OPEN)) continue;
      if (Math.abs(now() - store.getItem(name)) < STALE) slots.push(name);
      else store.removeItem(name);
    }
    return slots.sort().indexOf(slot) < LIMITS.connections || isMultiplexed();
  }) !== false;
}

function open(options) {
  var own = options.headers || {}, names = usable(own), forced = options.transport || 'auto', resume = options.resume || {};
  var url = options.url || '/chat', base = url.replace(/\/chat\/?(\?.*)?$/, ''), slot = OPEN + now() + Math.random();
  var attempt = 0, way, sink, abort, timer, asked, first, from, started; // of this connection
  var patience = LIMITS.start, beat = 0, begun, missed, stepped, stopping, crowded; // of the stream
  var stream = {id: '', url: '', after: +resume.after || 0, transport: '', state: 'connecting', stop: stop, close: close,
    key: options.key || now() + '-' + Math.random() + '-' + Math.random()};

  if (forced !== 'auto' && !TRANSPORTS.hasOwnProperty(forced)) {
    throw new TypeError('Millstream: transport is "' + forced + '"; use auto, fetch, eventsource, xhr or poll');
  }
  forced = forced !== 'auto' && (forced !== 'fetch' || names[0] === forced);
  if (forced) names = [options.transport];
  way = Math.max(0, names.indexOf(recall()));

  function isOver() { return /done|failed|closed/.test(stream.state); }

  function tell(name, value) { if (stream[name] && stream.state !== 'closed') call(stream[name], stream, value); }

  function at(format, after) {
    return stream.url + (stream.url.indexOf('?') < 0 ? '?' : '&') + 'format=' + format + '&after=' + after;
  }

  function request(method, url, headers, body) {
    return {method: method, url: url, headers: merged(own, headers), body: body, withCredentials: options.withCredentials};
  }

  function question(url, accept) {
    var headers = {Accept: accept, 'Content-Type': 'application/json', 'Idempotency-Key': stream.key};
    return request('POST', url, headers, JSON.stringify(options.body || {}));
  }

  function stop() {
    stopping = !isOver();
    if (!stopping || !stream.url) return; // once it has an address
    send(request('POST', stream.url + '/stop'), {end: function (xhr) {
      if (!xhr.status || xhr.status === 429 || xhr.status >= 500) setTimeout(stop, 1000);
    }});
  }

  function close() { if (!isOver()) end('closed'); }

  function drop() {
    var ending = abort;
    clearTimeout(timer);
    sink = abort = null;
    if (ending) ending();
  }

  function connect() {
    var mine = {}, holds = mayHold(slot), name, ask;
    drop();
    crowded = !forced && !holds;
    name = crowded ? 'poll' : names[way];
    if (name !== stream.transport) tell('ontransport', stream.transport = name);
    if (isOver()) return;
    sink = mine;
    Object.keys(hears).forEach(function (word) {
      mine[word] = function (a, b, c) { if (sink === mine) hears[word](a, b, c); };
    });
    asked = now();
    first = 0;
    from = stream.after;
    started = false;
    watch(patience);
    if (!stream.url && (name === 'eventsource' || name === 'poll')) return begin(mine);
    ask = stream.url ? request('GET', at('sse', from), {Accept: SSE}) : question(url, SSE);
    try {
      abort = TRANSPORTS[name](merged(ask, {at: at, after: from, own: own, crowded: crowded}), mine);
    } catch (error) { mine.blocked(); } // PhantomJS 1.9 at an EventSource of another origin
  }

  /** Starts the answer without following it, for transports that can only GET. */
  function begin(mine) {
    abort = send(question(base + '/streams', 'application/json'), {end: function (xhr) {
      var answer = xhr.status === 201 && parse(xhr.responseText);
      if (sink !== mine) return;
      if (!answer) return refused(xhr, mine);
      hears.locate(answer.url);
      patience = Math.min(LIMITS.start, 1000 + 2 * (now() - asked)); // the server is there, and has the answer
      connect();
    }});
  }

  function watch(time) {
    var due;
    if (way === names.length - 1) time = Math.max(time, 4 * LIMITS.start); // there is nothing to step down to
    due = now() + time;
    clearTimeout(timer);
    timer = setTimeout(function () {
      // The computer slept, or it is an EventSource, which doesn't show heartbeats: that says nothing of the path.
      if (now() - due > 2000 || (started && stream.transport === 'eventsource')) connect();
      else hears.blocked();
    }, time);
  }

  function end(state) {
    var ending = abort;
    stream.state = state;
    if (state !== 'closed') abort = null; // the response ends by itself, and its connection can be used again
    drop();
    if (ending) setTimeout(ending, 1000);
    window.removeEventListener('online', retry, false);
    window.removeEventListener('pagehide', leave, false);
    leave();
  }

  function leave() { stored('localStorage', function (store) { store.removeItem(slot); }); }

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
      if (started) watch(LIMITS.silence);
      if (now() - beat < 1000) return;
      beat = now();
      if (mayHold(slot) && crowded) connect();
    },
    locate: function (path, given) {
      var id = /\/([\w-]{22})(?=$|[?#])/.exec(path);
      if (stream.url || !id) return;
      stream.id = id[1];
      stream.url = given || base + '/streams/' + stream.id;
      if (stopping) stop();
    },
    event: function (type, n, data) {
      if (type === 'start') return hears.start(data);
      if (n <= stream.after) return; // a repeat
      if (n > stream.after + 1) return hears.lost(); // a gap: again from the last good one on
      stream.after = n;
      attempt = 0;
      if (type === 'message') tell('ontext', data.text);
      else if (type === 'reasoning') tell('onreasoning', data.text);
      else if (type === 'done') hears.over(type, data);
      else if (type === 'failed') fail('failed', data.error);
    },
    start: function (data) {
      hears.locate('/' + data.id);
      if (stepped) remember(stream.transport);
      stepped = false;
      started = true;
      watch(LIMITS.silence);
      if (stream.state === 'open') return;
      stream.state = 'open';
      if (!begun) tell('onstart', {id: stream.id, url: stream.url, model: data.model || null});
      begun = true;
      if (missed) tell('onback');
      missed = false;
    },
    /** The end; without facts if they had come before, and the answer was resumed behind them. */
    over: function (status, facts) {
      if (status === 'failed') return fail(status);
      if (!crowded && names[way + 1] && stream.after > from + 2 && first - asked > LIMITS.burst && now() - first < 200) {
        remember(names[way + 1]); // it came in one burst
      }
      end('done');
      tell('ondone', facts || {});
    },
    refuse: function (status, text, after) {
      var seconds = /^\d+$/.test(after) ? +after : null;
      if (status === 204) return hears.over('done');
      // An answer that there is, or may be, is worth another try.
      if ((stream.url || attempt) && (status === 429 || status >= 500)) return hears.lost(seconds);
      fail('bad_response', (parse(text) || {}).error, status, seconds);
    },
    lost: function (seconds) {
      var wait = Math.min(15000, 250 * Math.pow(2, Math.min(++attempt, 6))) * (0.5 + Math.random());
      drop();
      if (attempt > LIMITS.retries && window.navigator.onLine !== false) return fail('connection_lost');
      stream.state = 'retrying';
      missed = true;
      timer = setTimeout(connect, Math.max(wait, seconds > 0 ? 1000 * seconds : 0));
      tell('onretry', attempt);
    },
    renew: connect,
    /** Nothing comes through, or not as it is written: the next transport follows the same stream. */
    blocked: function () {
      if (way === names.length - 1 || window.navigator.onLine === false) return hears.lost();
      way++;
      stepped = true;
      connect();
    }
  };

  hears.locate(resume.url, resume.url);
  window.addEventListener('online', retry, false);
  window.addEventListener('pagehide', leave, false);
  timer = setTimeout(connect, 0); // the caller sets its callbacks first
  return stream;
}

/** The one global. */
window.Millstream = {
  /**
   * Asks, and streams the answer, or follows one that there is (`resume`). Set the callbacks you want on what it returns:
   * onstart({id, url, model}), ontext(text), onreasoning(text), ontransport(name), onretry(attempt), onback(), and of
   * the ends ondone({finish_reason, usage, cost, currency, model, upstream}) and onfail({message, code, type, param,
   * status, retryAfter, accepted}) exactly one. After it, and after close(), nothing is called.
   * @param {{url: string, body: Object, headers: Object, withCredentials: boolean, transport: string, key: string,
   *   resume: {url: string, after: number}}} options `url` ends in /chat; `transport` is auto, fetch, eventsource, xhr or
   *   poll; `key`, the Idempotency-Key: with the same key and body it is the same answer
   * @return {{id: string, url: string, after: number, transport: string, state: string, key: string,
   *   stop: function(), close: function()}} `after` is the last event's number; `state` connecting, open, retrying,
   *   done, failed or closed; stop() ends the answer (done, `cancelled`), close() only lets go of it
   */
  open: function (options) { return open(options || {}); },
  EventSource: Source,
  Parser: Parser,
  limits: LIMITS
};
})(typeof window === 'undefined' ? this : window);
