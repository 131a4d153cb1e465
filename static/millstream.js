/**
 * Millstream's client for browsers: an answer word by word, in every browser from Internet Explorer 10 and WebKit 534 on.
 * No build, no dependency, one global: `Millstream`. README.md beside this file shows its use. MIT licence.
 */
(function (window) {
  'use strict';

  /** May be changed before `open`: milliseconds, but for `renew` (characters) and `wait` (seconds). */
  var LIMITS = {
    start: 4000, // for the event `start`: the server sends it after 2 s at the latest
    silence: 35000, // without a byte; heartbeats come every 15 s
    burst: 2500, // a whole answer that comes at once after so long was held back on the way
    renew: 262144, // of an XMLHttpRequest's text, which lies in memory until its end
    wait: 20, // of a long poll
    pause: 100, // between two polls: a server may count them
    retries: 10, // lost connections in a row until the stream fails
    connections: 5 // streams at once over HTTP/1.1, all tabs together: browsers open six connections to one host
  };

  // ---- parser: text → events; pure --------------------------------------------------------------------------------

  /**
   * Reads an event stream: https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
   * @param {function({type: string, data: string, id: string})} onevent
   * @param {string=} id the last one of the connection before
   * @param {boolean=} decoded whether the byte order mark has been taken off already, as XMLHttpRequest does
   */
  function Parser(onevent, id, decoded) {
    this.lastId = id || ''; // of the last event that was whole
    this.retry = null; // ms, where the stream sets it
    this._onevent = onevent;
    this._id = this.lastId;
    this._type = this._data = this._rest = '';
    this._first = !decoded;
    this._cr = false;
  }

  /** @param {string} text the next piece, cut anywhere */
  Parser.prototype.feed = function (text) {
    var end = /\r\n?|\n/g, at = 0, match;
    if (!text) return;
    if (this._first && text.charAt(0) === '\uFEFF') text = text.slice(1);
    if (this._cr && text.charAt(0) === '\n') text = text.slice(1); // the other half of a CRLF
    this._first = this._cr = false;
    end.lastIndex = this._rest.length;
    text = this._rest + text;
    while ((match = end.exec(text))) {
      this._line(text.slice(at, match.index));
      at = end.lastIndex;
    }
    this._rest = text.slice(at);
    this._cr = at > 0 && at === text.length && text.charAt(at - 1) === '\r';
  };

  Parser.prototype._line = function (line) {
    var colon = line.indexOf(':'), name = colon < 0 ? line : line.slice(0, colon);
    var value = colon < 0 ? '' : line.slice(colon + (line.charAt(colon + 1) === ' ' ? 2 : 1));
    if (!line) this._dispatch();
    else if (name === 'data') this._data += value + '\n';
    else if (name === 'event') this._type = value;
    else if (name === 'id' && value.indexOf('\0') < 0) this._id = value;
    else if (name === 'retry' && /^\d{1,15}$/.test(value)) this.retry = +value;
  };

  Parser.prototype._dispatch = function () {
    var type = this._type || 'message', data = this._data;
    this.lastId = this._id;
    this._type = this._data = '';
    if (data) this._onevent({type: type, data: data.slice(0, -1), id: this.lastId});
  };

  // ---- transports: a request → what comes, told to a sink ---------------------------------------------------------

  function now() { return new Date().getTime(); }

  function isEventStream(type) { return /^\s*text\/event-stream\s*(;|$)/i.test(type || ''); }

  function parse(text) {
    try { return JSON.parse(text); } catch (error) { return null; }
  }

  /** One XMLHttpRequest. Calls head(xhr), text(piece) while it grows, and end(xhr), of those that there are. */
  function send(ask, on) {
    var xhr = new window.XMLHttpRequest(), seen = 0, headed = false, over = false, name, timer;
    function finish() {
      if (over) return;
      over = true;
      clearTimeout(timer);
      if (on.end) on.end(xhr);
    }
    function look() {
      var text;
      if (over || xhr.readyState < 2) return;
      if (!headed && xhr.status) {
        headed = true;
        if (on.head) on.head(xhr);
      }
      if (!over && on.text && xhr.readyState > 2 && xhr.status === 200 && (text = xhr.responseText.slice(seen))) {
        seen += text.length;
        on.text(text, seen);
      }
      if (xhr.readyState === 4) finish();
    }
    xhr.open(ask.method, ask.url, true);
    if (ask.withCredentials) xhr.withCredentials = true;
    // The standard's decoding, whatever charset a foreign server names.
    if (on.text && xhr.overrideMimeType) xhr.overrideMimeType('text/event-stream; charset=utf-8');
    for (name in ask.headers) xhr.setRequestHeader(name, ask.headers[name]);
    xhr.onreadystatechange = xhr.onprogress = look; // Internet Explorer tells of the third state once only
    if (ask.timeout) timer = setTimeout(function () { xhr.abort(); finish(); }, ask.timeout);
    xhr.send(ask.body || null);
    return function () {
      over = true;
      clearTimeout(timer);
      xhr.abort();
    };
  }

  function header(xhr, name) {
    try { return xhr.getResponseHeader(name) || ''; } catch (error) { return ''; }
  }

  function refused(xhr, sink) { sink.refuse(xhr.status, xhr.responseText, header(xhr, 'Retry-After')); }

  /** Tells the sink what an event stream of the server says. Every event has an id: {stream}.{n} */
  function told(sink) {
    return function (event) {
      var id = /^(.+)\.(\d+)$/.exec(event.id), data = parse(event.data);
      if (id && data) sink.event(event.type, +id[2], data);
      else sink.lost(); // half a line, glued to another one on the way
    };
  }

  /** Tells the sink what a poll was answered. Returns the number of the last event, or -1 if nothing more will come. */
  function polled(xhr, sink) {
    var answer = xhr.status === 200 && parse(xhr.responseText), last = -1, i;
    if (!answer) {
      if (xhr.status && xhr.status !== 200) refused(xhr, sink);
      else sink.lost();
      return -1;
    }
    sink.event('start', 0, {id: answer.id});
    for (i = 0; i < answer.events.length; i++) {
      last = answer.events[i].n;
      sink.event(answer.events[i].type, last, answer.events[i]);
    }
    if (answer.status === 'done' || answer.status === 'failed') {
      sink.over(answer.status);
      return -1;
    }
    return Math.max(last, answer.last);
  }

  function pollAt(ask, after, wait) {
    return {method: 'GET', url: ask.at('json', after) + '&wait=' + wait, headers: ask.headers,
      withCredentials: ask.withCredentials};
  }

  /** Each starts a request and returns the function that ends it. `ask.at(format, after)` is the stream's address. */
  var transports = {
    fetch: function (ask, sink) {
      var over = false, reader, stop = window.AbortController && new window.AbortController();
      var decoder = new window.TextDecoder('utf-8', {ignoreBOM: true}), parser = new Parser(told(sink));
      var asked = {method: ask.method, headers: ask.headers, cache: 'no-store',
        credentials: ask.withCredentials ? 'include' : 'same-origin'};
      function next() {
        reader.read().then(function (part) {
          if (part.done || over) return sink.lost();
          sink.byte();
          parser.feed(decoder.decode(part.value, {stream: true}));
          next();
        }).then(null, sink.lost);
      }
      function cancel() { reader.cancel().then(null, function () {}); }
      if (stop) asked.signal = stop.signal;
      if (ask.body) asked.body = ask.body; // not null: Edge sends that
      window.fetch(ask.url, asked).then(function (response) {
        var of = response.headers;
        if (response.status !== 200) {
          return response.text().then(function (text) { sink.refuse(response.status, text, of.get('Retry-After')); });
        }
        if (!isEventStream(of.get('Content-Type'))) return sink.blocked();
        sink.locate(of.get('Content-Location'));
        reader = response.body.getReader();
        if (over) cancel(); else next();
      }).then(null, sink.lost);
      return function () {
        over = true;
        if (stop) stop.abort();
        else if (reader) cancel(); // Chromium before 66 and Edge have no AbortController
      };
    },

    eventsource: function (ask, sink) {
      var source = new (window.EventSource || Source)(ask.at('sse', ask.after), {withCredentials: ask.withCredentials});
      var types = ['start', 'message', 'reasoning', 'done', 'failed'], hear = told(sink), abort, i;
      for (i = 0; i < types.length; i++) {
        source.addEventListener(types[i], function (event) {
          sink.byte();
          hear({type: event.type, data: event.data, id: event.lastEventId});
        }, false);
      }
      source.onerror = function () {
        var refused = source.readyState === 2;
        // It would come back by itself, but old WebKits and Chromium 49 glue half a line to what comes then.
        source.close();
        if (!refused) return sink.lost();
        // It doesn't tell why: so that is asked for.
        abort = send(pollAt(ask, ask.after, 0), {end: function (xhr) { if (polled(xhr, sink) >= 0) sink.lost(); }});
      };
      return function () {
        source.close();
        if (abort) abort();
      };
    },

    xhr: function (ask, sink) {
      var parser = new Parser(told(sink), '', true), stream = false;
      return send(ask, {
        head: function (xhr) {
          stream = xhr.status === 200 && isEventStream(header(xhr, 'Content-Type'));
          if (stream) sink.locate(header(xhr, 'Content-Location'));
          else if (xhr.status === 200) sink.blocked();
        },
        text: function (text, length) {
          if (!stream) return;
          sink.byte();
          parser.feed(text);
          if (length > LIMITS.renew) sink.renew();
        },
        end: function (xhr) {
          if (stream || !xhr.status) sink.lost();
          else refused(xhr, sink);
        }
      });
    },

    poll: function (ask, sink) {
      var pause = LIMITS.pause, after = ask.after, wait = 0, abort, timer; // the first one says at once that it works
      function poll() {
        abort = send(pollAt(ask, after, wait), {end: function (xhr) {
          var last = polled(xhr, sink);
          if (last < 0) return;
          sink.byte();
          // With few connections left none is held open: others want to stop, or load their page.
          wait = ask.crowded ? 0 : LIMITS.wait;
          pause = !ask.crowded ? LIMITS.pause : last > after ? 300 : Math.min(pause * 1.5, 2000);
          after = Math.max(last, after);
          timer = setTimeout(poll, pause);
        }});
      }
      poll();
      return function () {
        clearTimeout(timer);
        abort();
      };
    }
  };

  /** The transports for this browser, best first: two that stream, as far as there are, then polling. */
  function ways(headers) {
    var all = [], name, plain = true;
    for (name in headers) plain = false; // an EventSource sends none
    if (window.fetch && window.ReadableStream && window.TextDecoder && 'body' in window.Response.prototype) {
      all.push('fetch'); // Firefox before 65 has no body, Edge before 79 no TextDecoder
    }
    if (window.EventSource && plain) all.push('eventsource');
    if (all.length < 2) all.push('xhr');
    return all.concat('poll');
  }

  // ---- EventSource over XMLHttpRequest ----------------------------------------------------------------------------

  /**
   * Shaped like the standard's, for browsers where it is missing or broken. `options.headers` is an addition.
   * @constructor
   * @param {string} url
   * @param {{withCredentials: boolean, headers: Object}=} options
   */
  function Source(url, options) {
    var link = window.document.createElement('a');
    if (!(this instanceof Source)) throw new TypeError('Millstream.EventSource is a constructor: use new');
    link.href = url;
    this.url = link.href;
    this.withCredentials = !!(options && options.withCredentials);
    this.readyState = Source.CONNECTING;
    this.lastEventId = '';
    this.onopen = this.onmessage = this.onerror = null;
    this._headers = (options && options.headers) || {};
    this._listeners = {};
    this._retry = 3000;
    this._connect();
  }

  Source.CONNECTING = Source.prototype.CONNECTING = 0;
  Source.OPEN = Source.prototype.OPEN = 1;
  Source.CLOSED = Source.prototype.CLOSED = 2;

  Source.prototype.addEventListener = function (type, listener) {
    var of = this._listeners[type] = (this._listeners[type] || []).slice();
    if (listener && of.indexOf(listener) < 0) of.push(listener);
  };

  Source.prototype.removeEventListener = function (type, listener) {
    this._listeners[type] = (this._listeners[type] || []).filter(function (other) { return other !== listener; });
  };

  Source.prototype.dispatchEvent = function (event) {
    var self = this, all = (this._listeners[event.type] || []).slice();
    if (/^(open|message|error)$/.test(event.type) && this['on' + event.type]) all.unshift(this['on' + event.type]);
    all.forEach(function (listener) {
      guarded(typeof listener === 'function' ? listener : listener.handleEvent, listener.handleEvent ? listener : self, event);
    });
    return true;
  };

  Source.prototype.close = function () {
    this.readyState = Source.CLOSED;
    clearTimeout(this._timer);
    if (this._abort) this._abort();
  };

  Source.prototype._fire = function (type, data, id) {
    var event = {type: type, target: this, currentTarget: this};
    if (data !== undefined) {
      event.data = data;
      event.lastEventId = id;
      event.origin = this.url.split('/').slice(0, 3).join('/');
    }
    this.dispatchEvent(event);
  };

  Source.prototype._fail = function () {
    this.close();
    this._fire('error');
  };

  Source.prototype._connect = function () {
    var self = this, headers = {Accept: 'text/event-stream'}, name;
    var parser = new Parser(function (event) {
      self.lastEventId = event.id;
      if (self.readyState !== Source.CLOSED) self._fire(event.type, event.data, event.id);
    }, this.lastEventId, true);
    for (name in this._headers) headers[name] = this._headers[name];
    if (this.lastEventId) headers['Last-Event-ID'] = this.lastEventId;
    this._abort = send({method: 'GET', url: this.url, headers: headers, withCredentials: this.withCredentials}, {
      head: function (xhr) {
        if (xhr.status !== 200 || !isEventStream(header(xhr, 'Content-Type'))) return self._fail();
        self.readyState = Source.OPEN;
        self._fire('open');
      },
      text: function (text) {
        parser.feed(text);
        self.lastEventId = parser.lastId;
        if (parser.retry !== null) self._retry = parser.retry;
      },
      end: function () {
        if (self.readyState === Source.CLOSED) return;
        self.readyState = Source.CONNECTING;
        self._fire('error');
        if (self.readyState === Source.CLOSED) return;
        self._timer = setTimeout(function () { self._connect(); }, self._retry);
      }
    });
  };

  // ---- stream: resume, watchdog, step-down ------------------------------------------------------------------------

  var REMEMBERED = 'millstream.transport', OPEN = 'millstream.open.', STALE = 75000;
  var remembered = ''; // where sessionStorage is forbidden

  /** Calls back; what the callback throws is the page's, and must not end the stream. */
  function guarded(callback, self, value) {
    try { callback.call(self, value); } catch (error) { setTimeout(function () { throw error; }, 0); }
  }

  function remember(way) {
    remembered = way;
    try { window.sessionStorage.setItem(REMEMBERED, way); } catch (error) { /* forbidden, or full */ }
  }

  function recall() {
    try { return window.sessionStorage.getItem(REMEMBERED) || remembered; } catch (error) { return remembered; }
  }

  function random() {
    var numbers = [], i;
    if (window.crypto && window.crypto.getRandomValues) numbers = window.crypto.getRandomValues(new window.Uint32Array(4));
    else for (i = 0; i < 4; i++) numbers.push(Math.floor(Math.random() * 0x100000000));
    return Array.prototype.map.call(numbers, function (number) { return number.toString(36); }).join('-');
  }

  /**
   * Whether a stream may hold a connection open: over HTTP/1.1 the first five of all tabs may. Each leaves a sign of
   * life in localStorage, which every browser has and all tabs share. A tab that crashed leaves one, too: hence STALE,
   * longer than the minute between two timers of a hidden tab in Chromium. Errors cost a poll instead of a stream.
   */
  function mayHold(key) {
    var keys = [], store, name, i;
    try {
      store = window.localStorage;
      store.setItem(key, now());
      for (i = store.length - 1; i >= 0; i--) {
        name = store.key(i);
        if (name.indexOf(OPEN) === 0) {
          if (Math.abs(now() - store.getItem(name)) < STALE) keys.push(name);
          else store.removeItem(name);
        }
      }
    } catch (error) { return true; }
    return keys.sort().indexOf(key) < LIMITS.connections || isMultiplexed();
  }

  function letGo(key) {
    try { window.localStorage.removeItem(key); } catch (error) { /* forbidden */ }
  }

  function isMultiplexed() {
    try {
      return /^h[23]/.test(window.performance.getEntriesByType('navigation')[0].nextHopProtocol);
    } catch (error) { return false; }
  }

  /**
   * An answer. Set the callbacks that you want: onstart({id, url, model}), ontext(text), onreasoning(text),
   * ondone({finish_reason, usage, cost, currency, model, upstream}),
   * onfail({message, code, type, param, status, retryAfter, accepted}), ontransport(name), onretry(attempt), onback().
   * Exactly one of ondone and onfail is called, and nothing after it.
   * @constructor
   */
  function Stream(options) {
    var resume = options.resume || {}, headers = options.headers || {}, usual = ways(headers), forced = options.transport;
    if (forced && forced !== 'auto' && !transports.hasOwnProperty(forced)) {
      throw new TypeError('Millstream: transport is "' + forced + '"; use auto, fetch, eventsource, xhr or poll');
    }
    this.id = this.url = this.transport = '';
    this.after = +resume.after || 0; // the number of the last event that came
    this.state = 'connecting'; // open, retrying, done, failed, closed
    this.key = options.key || random(); // the Idempotency-Key: a question that is sent again is not asked again
    this._options = options;
    this._base = (options.url || '/chat').replace(/\/chat\/?(\?.*)?$/, '');
    this._forced = forced && forced !== 'auto' && (forced !== 'fetch' || usual[0] === 'fetch');
    this._ways = this._forced ? [forced] : usual;
    this._way = Math.max(0, this._ways.indexOf(recall()));
    this._slot = OPEN + now() + '.' + random();
    this._attempt = 0;
    if (resume.url) this._locate(resume.url, resume.url);
    this._listen();
  }

  Stream.prototype._listen = function () {
    var self = this;
    this._online = function () { if (self.state === 'retrying') self._connect(); };
    this._leave = function () { letGo(self._slot); };
    window.addEventListener('online', this._online, false);
    window.addEventListener('pagehide', this._leave, false);
    this._timer = setTimeout(function () { self._connect(); }, 0); // the caller sets its callbacks first
  };

  /** Ends the answer on the server; then it is done, its finish_reason `cancelled`. What came stays readable. */
  Stream.prototype.stop = function () {
    var self = this;
    this._stopping = !this._isOver();
    if (!this._stopping || !this.url) return; // once its address is known
    send({method: 'POST', url: this.url + '/stop', headers: this._headers(), timeout: 10000,
      withCredentials: this._options.withCredentials}, {end: function (xhr) {
      if (!xhr.status || xhr.status === 429 || xhr.status >= 500) setTimeout(function () { self.stop(); }, 1000);
    }});
  };

  /** Lets go without stopping: nobody is called any more, and another stream may `resume` this one. */
  Stream.prototype.close = function () {
    if (!this._isOver()) this._end('closed');
  };

  Stream.prototype._isOver = function () { return /done|failed|closed/.test(this.state); };

  Stream.prototype._tell = function (name, value) {
    if (typeof this[name] === 'function' && this.state !== 'closed') guarded(this[name], this, value);
  };

  Stream.prototype._headers = function (more) {
    var headers = {}, name;
    for (name in this._options.headers) headers[name] = this._options.headers[name];
    for (name in more) headers[name] = more[name];
    return headers;
  };

  /** The question, to /chat or /streams, with its key. */
  Stream.prototype._question = function (url, accept) {
    return {method: 'POST', url: url, body: JSON.stringify(this._options.body || {}), timeout: 0, after: 0,
      headers: this._headers({Accept: accept, 'Content-Type': 'application/json', 'Idempotency-Key': this.key})};
  };

  Stream.prototype._connect = function () {
    var self = this, sink = {}, ask, way = this._ways[this._way];
    var crowded = !this._forced && !mayHold(this._slot);
    function alive(name) {
      sink[name] = function (a, b, c) { if (self._sink === sink) self['_' + name](a, b, c); };
    }
    this._drop();
    if (crowded) way = 'poll';
    this._crowded = crowded;
    if (way !== this.transport) {
      this.transport = way;
      this._tell('ontransport', way);
    }
    if (this._isOver()) return;
    ['byte', 'locate', 'event', 'over', 'refuse', 'lost', 'renew', 'blocked'].forEach(alive);
    this._sink = sink;
    this._asked = now();
    this._first = 0;
    this._from = this.after;
    if (!this.url && (way === 'eventsource' || way === 'poll')) return this._begin(sink);
    ask = this.url ? {method: 'GET', url: this._at('sse', this.after), headers: this._headers({Accept: 'text/event-stream'})}
      : this._question(this._options.url || '/chat', 'text/event-stream');
    ask.after = this.after;
    ask.at = function (format, after) { return self._at(format, after); };
    ask.crowded = crowded;
    ask.withCredentials = this._options.withCredentials;
    this._watch(LIMITS.start);
    try {
      this._abort = transports[way](ask, sink);
    } catch (error) { // PhantomJS 1.9 throws at an EventSource of another origin
      sink.blocked();
    }
  };

  /** Starts an answer without following it, for transports that can only GET. */
  Stream.prototype._begin = function (sink) {
    var self = this, ask = this._question(this._base + '/streams', 'application/json');
    ask.timeout = 4 * LIMITS.start;
    ask.withCredentials = this._options.withCredentials;
    this._abort = send(ask, {end: function (xhr) {
      var answer = xhr.status === 201 && parse(xhr.responseText);
      if (self._sink !== sink) return;
      if (answer) {
        self._locate(answer.url);
        self._connect();
      } else if (xhr.status > 201) refused(xhr, sink);
      else sink.lost();
    }});
  };

  Stream.prototype._at = function (format, after) {
    return this.url + (this.url.indexOf('?') < 0 ? '?' : '&') + 'format=' + format + '&after=' + after;
  };

  Stream.prototype._drop = function () {
    var abort = this._abort;
    clearTimeout(this._timer);
    this._sink = this._abort = null;
    if (abort) abort();
  };

  Stream.prototype._watch = function (time) {
    var self = this, due;
    if (this._way === this._ways.length - 1) time = Math.max(time, 4 * LIMITS.start); // nothing is left to step down to
    due = now() + time;
    clearTimeout(this._timer);
    this._timer = setTimeout(function () {
      // Late: the computer slept, or the page was frozen. And an EventSource doesn't show heartbeats. Neither says
      // anything of the path.
      if (now() - due > 2000 || (self.transport === 'eventsource' && time > LIMITS.start)) self._renew();
      else self._blocked();
    }, time);
  };

  // -- what transports tell

  Stream.prototype._byte = function () {
    if (!this._first) this._first = now();
    if (this.state === 'open') this._watch(LIMITS.silence);
    if (now() - (this._seen || 0) > 1000) {
      this._seen = now();
      if (!this._forced && mayHold(this._slot) && this._crowded) this._renew();
    }
  };

  Stream.prototype._locate = function (path, url) {
    var id = /\/([\w-]{22})(?=$|[?#])/.exec(path || '');
    if (this.url || !id) return;
    this.id = id[1];
    this.url = url || this._base + '/streams/' + this.id;
    if (this._stopping) this.stop();
  };

  Stream.prototype._event = function (type, n, data) {
    if (type === 'start') return this._open(data);
    if (n <= this.after) return;
    if (n > this.after + 1) return this._lost(); // a gap: from the last good one on again
    this.after = n;
    this._attempt = 0;
    if (type === 'message') this._tell('ontext', data.text);
    else if (type === 'reasoning') this._tell('onreasoning', data.text);
    else if (type === 'done') this._finish(data);
    else if (type === 'failed') this._fail(data.error, 0, null);
  };

  Stream.prototype._open = function (data) {
    var begun = this._begun, lost = this._toldLost;
    this._locate('/' + data.id);
    this._begun = true;
    this._toldLost = false;
    if (this._stepped) remember(this.transport);
    this._stepped = false;
    if (this.state !== 'open') {
      this.state = 'open';
      if (!begun) this._tell('onstart', {id: this.id, url: this.url, model: data.model || null});
      if (lost) this._tell('onback');
    }
    if (this._sink) this._watch(LIMITS.silence);
  };

  /** The server says that it is over, and the last event had come before. */
  Stream.prototype._over = function (status) {
    if (status === 'done') this._finish({finish_reason: null, usage: null, cost: null, model: null, upstream: null});
    else this._fail({message: 'The answer has failed.', type: 'server_error', code: 'failed', param: null}, 0, null);
  };

  Stream.prototype._refuse = function (status, text, retryAfter) {
    var error = (parse(text) || {}).error, seconds = /^\d+$/.test(retryAfter) ? +retryAfter : null;
    if (status === 204) return this._over('done');
    if (!error || !error.message) {
      error = {message: 'The server answered with status ' + status + '.', type: 'server_error', code: 'bad_response', param: null};
    }
    // An answer that there is, or may be, is worth another try.
    if ((this.url || this._attempt) && (status === 429 || status >= 500)) this._lost(seconds);
    else this._fail(error, status, seconds);
  };

  Stream.prototype._lost = function (seconds) {
    var self = this, wait;
    this._drop();
    this._attempt++;
    if (this._attempt > LIMITS.retries && window.navigator.onLine !== false) {
      return this._fail({message: 'The connection was lost, and could not be made again.', type: 'connection_error',
        code: 'connection_lost', param: null}, 0, null);
    }
    this.state = 'retrying';
    this._toldLost = true;
    wait = Math.min(15000, 250 * Math.pow(2, Math.min(this._attempt, 6))) * (0.5 + Math.random());
    this._timer = setTimeout(function () { self._connect(); }, Math.max(wait, 1000 * (+seconds || 0)));
    this._tell('onretry', this._attempt);
  };

  Stream.prototype._renew = function () { this._connect(); };

  /** Nothing comes through, or not as it is written: the next transport follows the same stream. */
  Stream.prototype._blocked = function () {
    if (this._way === this._ways.length - 1 || window.navigator.onLine === false) return this._lost();
    this._way++;
    this._stepped = true;
    this._connect();
  };

  Stream.prototype._finish = function (data) {
    var first = this._first, next = this._ways[this._way + 1];
    if (next && !this._crowded && this.after > this._from + 2 && first - this._asked > LIMITS.burst && now() - first < 200) {
      remember(next);
    }
    this._end('done');
    this._tell('ondone', data);
  };

  Stream.prototype._fail = function (error, status, retryAfter) {
    this._end('failed');
    this._tell('onfail', {message: error.message, code: error.code, type: error.type, param: error.param, status: status,
      retryAfter: retryAfter, accepted: this.url ? true : status ? false : null});
  };

  Stream.prototype._end = function (state) {
    var abort = this._abort;
    this.state = state;
    if (state !== 'closed') this._abort = null; // the response ends by itself, and its connection can be used again
    this._drop();
    if (abort && state !== 'closed') setTimeout(abort, 1000);
    window.removeEventListener('online', this._online, false);
    window.removeEventListener('pagehide', this._leave, false);
    letGo(this._slot);
  };

  /** The one global. */
  window.Millstream = {
    /**
     * Asks, and streams the answer; or follows one that there is (`resume`).
     * @param {{url: string, body: Object, headers: Object, withCredentials: boolean, transport: string, key: string,
     *   resume: {url: string, after: number}}} options `url` ends in /chat; `transport` is auto, fetch, eventsource,
     *   xhr or poll; `key` is the Idempotency-Key
     * @return {Stream}
     */
    open: function (options) { return new Stream(options || {}); },
    EventSource: Source,
    Parser: Parser,
    limits: LIMITS
  };
})(typeof window === 'undefined' ? this : window);
