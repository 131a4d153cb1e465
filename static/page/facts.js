/* The line of facts under an answer: model · first token · tokens/s · tokens · cost · transport. */
(function (page) {
  'use strict';
  var SIGNS = {USD: '$', EUR: '€', CNY: '¥', RUB: '₽', GBP: '£'};

  function cost(record) {
    var sign = SIGNS[record.currency];
    return sign ? sign + record.cost : record.cost + ' ' + (record.currency || '');
  }

  /** The text for an answer's record; what is not known is left out. */
  page.factsOf = function (record) {
    var n = record.about ? '≈' + record.tokens : record.tokens;
    var timed = record.state === 'done' && record.rate;
    var blanks = {s: page.number(record.first / 1000, 2), r: Math.round(record.rate), n: n};
    var parts = [record.model];
    if (record.tokens) parts.push(timed ? page.say('facts', blanks) : page.say('tokens_n', {n: n}));
    if (record.cost) parts.push(cost(record));
    if (record.finish && record.finish !== 'stop' && record.finish !== 'cancelled') parts.push(page.say('ended_by', {why: record.finish}));
    if (record.url) parts.push(record.transport);
    return parts.filter(Boolean).join(' · ');
  };
}(window.MillstreamPage));
