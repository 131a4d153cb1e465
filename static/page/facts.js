/* The facts under an answer: model · time · tokens · cost; the rest opens behind them. */
(function (page) {
  'use strict';
  var SIGNS = {USD: '$', EUR: '€', CNY: '¥', RUB: '₽', GBP: '£'};
  var EXPECTED = ['stop', 'cancelled', 'length']; // the notice tells of the last two

  function cost(record) {
    var sign = SIGNS[record.currency];
    return sign ? sign + record.cost : record.cost + ' ' + (record.currency || '');
  }

  function row(key, text) {
    return text ? page.make('div', {}, [page.make('dt', {text: page.say(key)}), page.make('dd', {text: text})]) : null;
  }

  function seconds(ms, digits) { return page.say('seconds', {n: page.number(ms / 1000, digits)}); }

  /** The element for an answer's record; what is not known is left out. */
  page.drawFacts = function (record) {
    var n = record.about ? '≈' + record.tokens : record.tokens;
    var line = [record.model, record.took ? seconds(record.took, 1) : '', record.tokens ? page.say('tokens_n', {n: n}) : '', record.cost ? cost(record) : ''];
    var rows = [
      row('first_token', record.came ? seconds(record.first, 2) : ''),
      row('speed', record.rate ? page.say('speed_n', {r: Math.round(record.rate)}) : ''),
      row('connection', record.url ? record.transport : ''),
      row('ended', record.finish && EXPECTED.indexOf(record.finish) < 0 ? record.finish : '')
    ].filter(Boolean);
    var words = line.filter(Boolean).join(' · ');
    if (!words) return null;
    if (!rows.length) return page.make('p', {'class': 'facts', text: words});
    return page.make('details', {'class': 'facts'}, [
      page.make('summary', {title: page.say('about_answer')}, [page.make('span', {text: words}), page.icon('info')]), page.make('dl', {}, rows)
    ]);
  };
}(window.MillstreamPage));
