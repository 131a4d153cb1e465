/* What the server is asked: the turns above an answer, with the conversation's own settings. */
(function (page) {
  'use strict';

  /** What the model is told: questions with what was answered to them, and the last question. */
  function messages(turns) {
    var said = [];
    turns.forEach(function (turn, n) {
      var answer = turns[n + 1];
      if (turn.role !== 'user' || (n < turns.length - 1 && !(answer && answer.text))) return;
      said.push({role: 'user', content: turn.text});
      if (answer && answer.text) said.push({role: 'assistant', content: answer.text});
    });
    return said;
  }

  /** `then(body)` with the body of the request that an answer's record comes from. */
  page.asking = function (talk, record, then) {
    var turns = page.branches.path(talk.nodes, record.parent), body = page.changed({}, record.asks || {});
    body.messages = messages(turns);
    if (record.base) {
      body.messages.push({role: 'assistant', content: record.text.slice(0, record.base)});
      body.messages.push({role: 'user', content: page.say('continue_prompt')});
    }
    then(body);
  };
}(window.MillstreamPage));
