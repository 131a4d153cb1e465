/* What the server is asked: the turns above an answer, with the conversation's own settings. */
(function (page) {
  'use strict';

  /** A question as OpenAI's API takes it: its text, or parts with what it carries; `blind`: pictures by their names. */
  function content(turn, files, blind) {
    var parts = files.map(function (file) {
      if (file.content === null || (blind && file.type === 'image')) return {type: 'text', text: '[' + file.name + ']'};
      if (file.type === 'image') return {type: 'image_url', image_url: {url: file.content}};
      return {type: 'text', text: file.name + ':\n\n' + file.content};
    });
    if (!parts.length) return turn.text;
    return turn.text ? parts.concat({type: 'text', text: turn.text}) : parts;
  }

  /** What the model is told: questions with what was answered to them, and the last question. `files`: turn's id → files;
      `blind`: the model sees no pictures, and what was asked about them before was asked of another one. */
  function messages(turns, files, blind) {
    var said = [];
    turns.forEach(function (turn, n) {
      var answer = turns[n + 1];
      if (turn.role !== 'user' || (n < turns.length - 1 && !(answer && answer.text))) return;
      said.push({role: 'user', content: content(turn, files[turn.id] || [], blind && n < turns.length - 1)});
      if (answer && answer.text) said.push({role: 'assistant', content: answer.text});
    });
    return said;
  }

  /** `then(body)` with the body of the request that an answer's record comes from. */
  page.asking = function (talk, record, then) {
    var turns = page.branches.path(talk.nodes, record.parent), body = page.changed({}, record.asks || {});
    var files = {}, carry = turns.filter(function (turn) { return turn.files && turn.files.length; });
    (function next() {
      var turn = carry.shift();
      if (turn) return page.attachments.load(turn.files, function (found) {
        files[turn.id] = found;
        next();
      });
      body.messages = messages(turns, files, page.own.isBlind(body.model));
      if (record.base) {
        body.messages.push({role: 'assistant', content: record.text.slice(0, record.base)});
        body.messages.push({role: 'user', content: page.say('continue_prompt')});
      }
      then(body);
    }());
  };
}(window.MillstreamPage));
