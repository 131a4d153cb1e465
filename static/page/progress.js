/* What the state line says of a running answer, four times a second at most, and what is said aloud at its end. */
(function (page) {
  'use strict';
  var PATIENCE = 5000; // ms, from which on the seconds of waiting are told
  var answering = null, timer = null;

  function words() {
    var record = answering.record, waited = Date.now() - record.asked;
    if (answering.lost()) return page.say('lost', {n: answering.lost()});
    if (record.came && waited > PATIENCE && (record.asks || {}).keep) return page.say('away');
    if (record.came) return page.say('writing', {n: record.came, r: Math.round(answering.rate())});
    return waited < PATIENCE ? page.say('waiting') : page.say('waiting_for', {n: Math.floor(waited / 1000)});
  }

  function tell() {
    page.notify.look(answering.record);
    var plain = !window.MillstreamRich && !answering.lost() && answering.record.transport; // old browsers: how it comes
    page.stateline.show(words() + (plain ? ' · ' + plain : ''), answering.lost() ? 'lost' : '', true);
  }

  page.progress = {
    /** Follows this answering, or nothing. */
    draw: function (given) {
      answering = given;
      clearInterval(timer);
      if (!given) return page.stateline.show('', '');
      tell();
      timer = setInterval(tell, 250);
    },

    ended: function (record) {
      page.progress.draw(null);
      if (record.state === 'failed') {
        var failure = page.failureWords(record.failure, !!(record.text || record.url), record.failure.retryAfter);
        page.speech.alarm(failure.head + ' ' + failure.why);
      } else if (record.state === 'stopped') {
        page.speech.tell(page.say('stopped'));
      } else {
        page.speech.tell(page.say('finished', {n: record.tokens}));
      }
    }
  };
}(window.MillstreamPage));
