/* A new conversation that begins with the last turns of one that has become too long. */
(function (page) {
  'use strict';
  var PART = 0.25; // of what was too long

  function size(turns) {
    return turns.reduce(function (sum, turn) { return sum + turn.text.length; }, 0);
  }

  /** Whether it is the conversation that is too long, and not the question alone. */
  page.isCarried = function (turns, question) { return size(turns) > question.length; };

  /** The turns to carry: whole questions with their answers, the last ones. */
  page.carried = function (turns) {
    var from = turns.length, most = PART * size(turns);
    while (from > 1 && size(turns.slice(from - 2)) <= most) from -= 2;
    return turns.slice(from);
  };

  /** That conversation, kept already. */
  page.carry = function (talk, turns) {
    var fresh = page.talks.fresh();
    fresh.own = talk.own;
    var copies = page.carried(turns).map(function (turn) { return page.talks.add(fresh, page.changed(turn, {})); });
    if (copies.length) page.talks.save(fresh, copies);
    return fresh;
  };
}(window.MillstreamPage));
