/* The notice that stands in an answer which was stopped, is empty or has failed. */
(function (page) {
  'use strict';

  function plain(icon, words, button) {
    return page.make('div', {'class': 'notice'}, [page.icon(icon), page.make('p', {'class': 'what', text: words}), button]);
  }

  /** Counts the seconds down that the server wants to wait; then Try again can be pressed. */
  function failed(record, acts) {
    var failure = record.failure, begun = !!(record.text || record.url), long = page.isTooLong(failure);
    var until = (record.ended || Date.now()) + (failure.retryAfter || 0) * 1000;
    var said = page.make('p', {}), button = null, timer = null;
    var small = page.make('p', {'class': 'small'}, [page.make('code', {text: failure.code || String(failure.status || '')})]);
    var words = page.failureWords(failure, begun, 0);

    function tell() {
      var left = Math.max(0, Math.ceil((until - Date.now()) / 1000));
      words = page.failureWords(failure, begun, left);
      if (failure.retryAfter && !left && !acts.again) words = {head: page.say('try_now'), why: ''};
      page.clear(said);
      said.appendChild(page.make('b', {text: words.head}));
      if (words.why) said.appendChild(document.createTextNode(' ' + words.why));
      if (button) button.setAttribute('aria-disabled', String(left > 0));
      if (timer && !left) clearInterval(timer);
    }

    if (long && acts.carry) {
      button = page.button(null, page.say('start_with_last'), acts.carry, 'outline');
    } else if (acts.again) {
      button = page.button('again', page.say('try'), function () {
        if (button.getAttribute('aria-disabled') !== 'true') acts.again();
      }, 'outline');
    }
    tell();
    if (until > Date.now()) timer = setInterval(tell, 1000);
    if (record.text) small.appendChild(document.createTextNode(' · ' + page.say('kept_above')));
    return page.make('div', {'class': 'notice failed' + (long ? ' warn' : '')}, [page.icon('alert'), page.make('div', {'class': 'what'}, [
      said, words.said ? page.make('p', {'class': 'small', text: words.said}) : null, small
    ]), button]);
  }

  /** The notice for an answer's record, or null where none is due. See drawAnswer for `acts`; without
      `again` there is nothing to press: the question is in the message box again. */
  page.noticeOf = function (record, acts) {
    if (record.state === 'failed') return failed(record, acts);
    if (record.state === 'stopped') return plain('paused', page.say('stopped'));
    if (record.finish === 'length') return plain('paused', page.say('length_limit'), page.button(null, page.say('continue'), acts.continued, 'outline'));
    if (record.state === 'done' && !record.text) return plain('alert', page.say('empty'));
    return null;
  };
}(window.MillstreamPage));
