/* One answer while it comes. Its record is what is kept of it:
   {role: 'assistant', state: 'running|done|stopped|failed', text, base (letters that an earlier one had), thoughts, thought
    (ms), model, asks (fields of the request), asked, first (ms), took, came (pieces), tokens, about, rate, cost, currency, finish, transport, failure, url, after, key}. */
(function (page) {
  'use strict';
  var SAVE = 1000; // ms
  var transport = (location.search.match(/[?&]transport=(fetch|eventsource|xhr|poll)(&|$)/) || [])[1] || 'auto';

  /** A new one; with `base`, the record of an answer that ended too early, one that goes on with it. */
  page.newRecord = function (base) {
    var random = '', n;
    var record = {role: 'assistant', state: 'running', text: '', asked: Date.now(), came: 0};
    for (n = 0; n < 3; n++) random += Math.random().toString(36).slice(2, 10);
    if (base) record = page.changed(record, {text: base.text, base: base.text.length, thoughts: base.thoughts, thought: base.thought});
    record.key = random;
    return record;
  };

  /**
   * What `ask(body)` asks, or goes on with after a reload: a record with an address resumes it, one without is asked with
   * the same Idempotency-Key, which never asks the model twice.
   * hooks: text(piece), thought(piece), started(), changed(), lost(attempt), back(), ended(), save(quiet).
   */
  page.answering = function (record, hooks) {
    var saved = Date.now(), lost = 0, stream = null, over = false, stopping = false;

    /** Counts a piece that is in the record already: what is saved has to fit together. */
    function came() {
      var now = Date.now() - record.asked;
      if (!record.came) {
        record.first = now;
        hooks.started();
      }
      record.came++;
      record.took = now;
      record.after = stream.after;
      lost = 0;
      if (Date.now() - saved > SAVE) {
        saved = Date.now();
        hooks.save(true);
      }
    }

    function rate() {
      var seconds = (record.took - record.first) / 1000;
      return seconds > 0.05 ? record.came / seconds : 0;
    }

    function end(state) {
      record.state = state;
      record.ended = Date.now();
      record.rate = rate();
      record.transport = stream.transport || record.transport;
      if (!record.tokens) record.tokens = record.came;
      hooks.ended();
    }

    function ask(body) {
      if (over) return;
      stream = window.Millstream.open({
        url: page.root + '/chat', body: body, key: record.key, transport: transport,
        resume: record.url ? {url: record.url, after: record.after || 0} : undefined
      });
      stream.onstart = function (start) {
        record.url = start.url;
        record.model = start.model || record.model;
        hooks.save(false);
        hooks.changed();
      };
      stream.ontext = function (piece) {
        if (record.thoughts && record.thought === undefined) record.thought = Date.now() - record.asked - record.first;
        record.text += piece;
        came();
        hooks.text(piece);
      };
      stream.onreasoning = function (piece) {
        record.thoughts = (record.thoughts || '') + piece;
        came();
        hooks.thought(piece);
      };
      stream.ondone = function (done) {
        var usage = done.usage || {};
        record.tokens = usage.completion_tokens || 0;
        record.about = usage.source === 'estimated';
        record.cost = done.cost;
        record.currency = done.currency;
        record.finish = done.finish_reason;
        record.model = done.model || record.model;
        end(done.finish_reason === 'cancelled' ? 'stopped' : 'done');
      };
      stream.onfail = function (failure) {
        record.failure = {
          message: failure.message, code: failure.code, status: failure.status,
          retryAfter: Number(failure.retryAfter) || 0, accepted: failure.accepted
        };
        end('failed');
      };
      stream.ontransport = function (name) { record.transport = name; };
      stream.onretry = function (attempt) {
        lost = attempt;
        hooks.lost(attempt);
      };
      stream.onback = function () {
        lost = 0;
        hooks.back();
      };
      if (stopping) stream.stop();
    }

    return {
      ask: ask,
      record: record,
      stop: function () {
        stopping = true;
        if (stream) stream.stop();
      },
      /** Lets go without stopping it. */
      close: function () {
        over = true;
        if (stream) stream.close();
      },
      /** The attempt that is going on, 0 while connected. */
      lost: function () { return lost; },
      rate: rate
    };
  };
}(window.MillstreamPage));
