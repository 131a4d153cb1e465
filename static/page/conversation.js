/* The open conversation: asking, editing, asking again, taking back. */
(function (page) {
  'use strict';
  var running = {}; // id of a conversation → its answering; it goes on when another one is opened
  var talk = null, view = null, place = null;

  function now() { return running[talk.id] || null; }

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

  function save(which) {
    page.talks.save(which);
    page.rail.draw();
  }

  function draw(turn, n) {
    if (turn.role === 'user') {
      page.thread.add(page.drawQuestion(turn, function () { edit(n); }));
    } else {
      view = page.drawAnswer(turn, function () { again(n); });
      page.thread.add(view.element);
    }
  }

  function redraw() {
    view = null;
    page.thread.cut(0);
    talk.turns.forEach(draw);
    document.title = (talk.title ? talk.title + ' – ' : '') + page.say('name');
    page.tab.set('open', talk.id);
    page.rail.draw();
    page.composer.draw();
    page.progress.draw(now());
    page.scrolling.stick();
  }

  /** The hooks draw only while the conversation is the open one. */
  function run(which, record, body) {
    function seen(act) {
      return function (value) { if (talk === which && view) act(value); };
    }
    function progress() { page.progress.draw(now()); }
    running[which.id] = page.answering(record, body, {
      text: seen(function (piece) { view.text(piece); }),
      thought: seen(function (piece) { view.thought(piece); }),
      started: seen(function () {
        page.speech.tell(page.say('started'));
        progress();
      }),
      changed: seen(progress),
      lost: seen(function (attempt) {
        if (attempt === 1) page.speech.tell(page.say('lost_said'));
        progress();
      }),
      back: seen(function () {
        page.speech.tell(page.say('connected'));
        progress();
      }),
      save: function () { page.talks.save(which); },
      ended: function () {
        delete running[which.id];
        if (record.failure && record.failure.status === 401) return signedOut(which, record);
        if (record.failure && !record.url && which.turns[which.turns.length - 2].fresh) refused(which);
        page.rail.draw(); // it says where nothing could be kept
        if (talk !== which) return;
        view.finish();
        page.progress.ended(record);
        page.composer.draw();
      }
    });
    running[which.id].talk = which;
    if (talk === which) {
      page.progress.draw(now());
      page.composer.draw();
    }
  }

  /** The server did not take the question: its text is in the box again, and the turn is not kept. */
  function refused(which) {
    var question = which.turns[which.turns.length - 2];
    question.refused = true;
    page.talks.save(which);
    if (talk === which) page.composer.giveBack(question.text);
  }

  function signedOut(which, record) {
    var question = which.turns[which.turns.length - 2];
    delete record.failure;
    record.state = 'running';
    if (!record.url && question.fresh) { // nothing was asked: as if it had not been sent
      which.turns.length -= 2;
      if (talk === which) page.composer.giveBack(question.text);
    }
    if (talk === which) redraw();
    page.signin.ask(function () { if (which.turns.indexOf(record) >= 0) resume(which); });
  }

  /** Goes on with an answer that was being written when the page was left. */
  function resume(which) {
    var record = which.turns[which.turns.length - 1];
    if (!record || record.state !== 'running' || running[which.id]) return;
    run(which, record, body(which.turns.slice(0, -1), record.asks || {}));
  }

  function body(turns, fields) {
    var asked = {messages: messages(turns)};
    Object.keys(fields).forEach(function (name) { asked[name] = fields[name]; });
    return asked;
  }

  /** Asks with the turns as they are now; the last one is the question. */
  function answer() {
    var record = page.newRecord();
    var turns = talk.turns.slice();
    record.asks = page.picks.fields();
    talk.at = record.asked;
    talk.turns.push(record);
    draw(record, talk.turns.length - 1);
    save(talk);
    run(talk, record, body(turns, record.asks));
    page.scrolling.stick();
  }

  function busy() {
    if (now()) page.stateline.hint(page.say('busy'));
    return !!now();
  }

  /** Keeps the first `count` turns; what falls away can be brought back. */
  function cut(count) {
    var old = talk.turns, which = talk;
    talk.turns = old.slice(0, count);
    page.thread.cut(count);
    if (!old.slice(count).some(function (turn) { return turn.role !== 'user' && turn.text; })) return;
    page.undo.offer(place, page.say('replaced'), function () {
      if (running[which.id]) {
        running[which.id].stop();
        running[which.id].close();
        delete running[which.id];
      }
      which.turns = old;
      save(which);
      if (talk === which) redraw();
    });
  }

  function ask(text) {
    var last = talk.turns[talk.turns.length - 2], begins = !talk.turns.length;
    if (busy()) return;
    page.undo.gone();
    if (last && last.refused) cut(talk.turns.length - 2);
    if (page.composer.isEditing()) cut(editing);
    page.composer.sent();
    if (begins) page.composer.rename(talk.id);
    talk.turns.push({role: 'user', text: text, fresh: true});
    draw(talk.turns[talk.turns.length - 1], talk.turns.length - 1);
    answer();
    document.title = talk.title + ' – ' + page.say('name');
    page.tab.set('open', talk.id);
  }

  var editing = 0; // the number of the turn that is in the message box

  function edit(n) {
    if (busy()) return;
    editing = n;
    page.composer.edit(talk.turns[n].text);
  }

  /** Asks the question above answer `n` again. */
  function again(n) {
    var question = talk.turns[n - 1];
    if (busy()) return;
    if (question.refused) {
      if (page.composer.text() === question.text) page.composer.fill('');
      question.refused = false;
    } else {
      question.fresh = false;
    }
    cut(n);
    answer();
  }

  page.conversation = {
    /** `dock` is where Undo is offered. */
    begin: function (dock) {
      var id = page.tab.get('open');
      place = dock;
      page.conversation.open(id);
    },

    /** Opens a conversation, or a new one where there is none with this id. */
    open: function (id) {
      page.undo.gone();
      talk = (running[id] && running[id].talk) || (id && page.talks.load(id)) || page.talks.fresh();
      page.composer.open(talk.turns.length ? talk.id : 'new');
      redraw();
      resume(talk);
    },

    fresh: function () {
      page.conversation.open(null);
      page.composer.focus();
    },

    /** These were deleted. */
    removed: function (ids) {
      ids.forEach(function (id) {
        if (!running[id]) return;
        running[id].stop();
        running[id].close();
        delete running[id];
      });
      if (ids.indexOf(talk.id) >= 0) page.conversation.fresh();
    },

    id: function () { return talk && talk.turns.length ? talk.id : null; },
    isRunning: function () { return !!(talk && now()); },
    ask: ask,
    stop: function () { if (now()) now().stop(); },

    /** Puts the last question into the message box. Gives whether there was one. */
    editLast: function () {
      var n = talk.turns.length - 2;
      if (n < 0 || now()) return false;
      edit(n);
      return true;
    },

    keep: function () { Object.keys(running).forEach(function (id) { page.talks.save(running[id].talk); }); }
  };
}(window.MillstreamPage));
