/* The open conversation: asking, editing, asking again, going on, and what other tabs do to it. */
(function (page) {
  'use strict';
  var talk = null;
  var editing = null; // the question that is in the message box
  var changed = {}, hearing = null; // ids that other tabs have told of
  var opened = 0; // how many: what is loaded may come when another one is wanted

  function now() { return page.running.of(talk.id); }

  function last() { return talk.turns[talk.turns.length - 1]; }

  function questionOf(which, record) { return which.nodes[record.parent]; }

  function make(turn) {
    function version(n) { choose(turn, n); }
    if (turn.role === 'user') return page.drawQuestion(turn, {edit: function () { edit(turn); }, version: version});
    return page.drawAnswer(turn, {
      again: function () { again(turn); }, continued: function () { goOn(turn); }, version: version,
      carry: carryable(talk, turn)
    });
  }

  /** Turns that came after the same one, the oldest first. */
  function versionsOf(turn, children) {
    return ((children || page.branches.children(talk.nodes))[turn.parent || ''] || []).filter(function (other) { return other.role === turn.role; });
  }

  page.thread.ondrawn = function () {
    var children = page.branches.children(talk.nodes);
    page.thread.each(function (turn, view) {
      var all = versionsOf(turn, children);
      view.versions.set(all.indexOf(turn) + 1, all.length);
    });
  };

  function draw() {
    page.thread.draw(talk.turns, make);
    page.title.draw();
    page.rail.draw();
    page.composer.draw();
    page.progress.draw(now());
  }

  function choose(turn, n) {
    var to = versionsOf(turn)[n - 1], after = n > versionsOf(turn).indexOf(turn) + 1;
    page.talks.turn(talk, page.branches.latest(talk.nodes, to));
    page.talks.save(talk, [], {quiet: true});
    draw();
    page.thread.view(to).versions.focus(after);
    page.speech.tell(page.say('version_said', {n: n, all: versionsOf(to).length}));
    resume(talk);
  }

  // -- answers under way ----------------------------------------------------------------------------------------------

  function ended(which, record) {
    var failure = record.failure, view = talk === which && page.thread.view(record);
    if (failure && failure.status === 401) return signedOut(which, record);
    if (failure && page.isTooLong(failure)) failure.alone = !carryable(which, record);
    if (failure && !record.url && refused(which, record)) return;
    page.talks.save(which, [record]);
    page.rail.draw(); // it says where nothing could be kept
    page.notify.ended(which, record);
    if (view) view.finish();
    if (talk !== which) return;
    page.progress.ended(record);
    page.composer.draw();
  }

  /** Takes turns away that nobody answered; another version that there was comes in sight again. */
  function take(which, turns) {
    var parent = which.nodes[turns[0].parent];
    turns.forEach(function (turn) { delete which.nodes[turn.id]; });
    page.talks.turn(which, page.branches.latest(which.nodes, parent));
    if (which.turns.length) return page.talks.save(which, [], {drop: turns.map(function (turn) { return turn.id; })});
    page.talks.remove([which.id]);
    talk = page.talks.fresh();
    page.composer.rename('new');
    page.address.set(null, true);
  }

  /** Puts a question that nobody has answered into the message box again, if nothing else has been written there. Gives
      whether it did. */
  function giveBack(which, record) {
    var question = questionOf(which, record);
    if (talk !== which || versionsOf(record).length > 1 || !page.composer.giveBack(question)) return false;
    take(which, [question, record]);
    draw();
    return true;
  }

  /** What begins a new conversation with the last turns, or null where the question alone is too long. */
  function carryable(which, record) {
    var before = page.branches.path(which.nodes, record.parent), question = before.pop();
    if (!question || !page.isCarried(before, question.text)) return null;
    return function () {
      var fresh = page.carry(which, before), text = page.composer.text() || question.text;
      page.address.set(fresh.id, false);
      show(fresh);
      page.composer.fill(text);
    };
  }

  /** The server did not take the question. Gives whether all is done. */
  function refused(which, record) {
    var carry = carryable(which, record);
    if (!giveBack(which, record)) return false;
    page.thread.note(page.noticeOf(record, {carry: carry}));
    page.progress.ended(record);
    page.scrolling.stick();
    return true;
  }

  function signedOut(which, record) {
    delete record.failure;
    record.state = 'running';
    if (record.url || !giveBack(which, record)) draw();
    page.signin.ask(function () { if (which.nodes[record.id]) resume(which); });
  }

  /** Goes on with an answer that was being written when the page was left, or that another tab has asked for. */
  function resume(which, elsewhere) {
    var record = which.turns[which.turns.length - 1];
    if (!record || record.state !== 'running' || page.running.of(which.id) || (elsewhere && !record.url)) return;
    page.running.run(which, record);
  }

  /** Asks with the turns as they are now; the last one is the question. `files` are the contents of what it carries. */
  function answer(base, files) {
    var record = page.talks.add(talk, page.newRecord(base));
    record.asks = page.own.fields();
    if (page.main.getAttribute('data-keep')) record.asks.keep = true; // it goes on without us
    talk.at = record.asked;
    page.talks.save(talk, [questionOf(talk, record), record], {files: files});
    page.scrolling.stick();
    draw();
    page.running.run(talk, record);
    page.scrolling.stick();
  }

  // -- what the reader does -------------------------------------------------------------------------------------------

  function busy() {
    if (now()) page.stateline.hint(page.say('busy'));
    return !!now();
  }

  function ask(text, files) {
    var begins = !talk.turns.length, carried = page.attachments.split(talk.id, files);
    if (busy()) return;
    opened++;
    page.undo.gone();
    if (page.composer.isEditing()) page.talks.turn(talk, editing.parent || null);
    page.composer.sent();
    if (begins) page.composer.rename(talk.id);
    page.talks.add(talk, carried.files.length ? {role: 'user', text: text, files: carried.files} : {role: 'user', text: text});
    answer(null, carried.contents);
    page.address.set(talk.id, begins);
  }

  function edit(turn, text) {
    if (busy()) return;
    editing = turn;
    page.composer.edit(turn, text);
  }

  /** Asks the question above this answer again. What failed without a word is no version worth keeping. */
  function again(record) {
    var files = questionOf(talk, record).files || [];
    if (busy()) return;
    if (page.own.isBlind() && files.some(function (file) { return file.type === 'image'; })) {
      return page.stateline.hint(page.say('cant_see_again', {model: page.own.model()}));
    }
    if (record.state === 'failed' && !record.text) take(talk, [record]);
    page.talks.turn(talk, record.parent);
    answer();
  }

  /** Has an answer that ended by its length written on: as a version that begins with it. */
  function goOn(record) {
    if (busy()) return;
    page.talks.turn(talk, record.parent);
    answer(record);
  }

  function show(given) {
    var edited, other = given !== talk;
    opened++;
    page.undo.gone();
    talk = given;
    page.composer.open(talk.turns.length ? talk.id : 'new');
    if (other) page.own.open(talk.own);
    page.scrolling.stick();
    draw();
    page.scrolling.stick();
    resume(talk);
    edited = page.composer.edited();
    if (edited && talk.nodes[edited.turn] && !now()) edit(talk.nodes[edited.turn], edited.text);
  }

  function open(id, then, empty) {
    var turn = ++opened;
    function found(given) {
      if (turn !== opened) return; // another one was opened meanwhile
      page.address.set(given ? given.id : null, true);
      show(given || empty || page.talks.fresh());
      if (then) then();
    }
    if (page.running.of(id)) found(page.running.of(id).talk);
    else if (id) page.talks.load(id, found);
    else found(null);
  }

  function reveal(turn) {
    if (talk.turns.indexOf(turn) < 0) {
      page.talks.turn(talk, page.branches.latest(talk.nodes, turn));
      draw();
    }
    page.thread.reveal(turn);
  }

  function removed(ids) {
    page.running.drop(ids);
    if (ids.indexOf(talk.id) < 0) return;
    page.address.set(null, true);
    open(null);
  }

  /** Another tab has changed conversations, perhaps all of them at once. */
  function heard(message) {
    changed[message.talk] = true;
    clearTimeout(hearing);
    hearing = setTimeout(heed, 20);
  }

  function heed() {
    var mine = changed[talk.id];
    changed = {};
    page.talks.refresh(function () {
      page.rail.draw();
      removed(page.running.ids().concat(talk.turns.length ? [talk.id] : []).filter(function (id) { return !page.talks.entry(id); }));
      if (mine) page.talks.merge(talk, function (fresh) {
        if (fresh && !now() && !page.composer.isEditing()) page.talks.turn(talk, page.talks.entry(talk.id).tip);
        page.own.open(talk.own);
        if (!now() || fresh) draw();
        resume(talk, true);
      });
    });
  }

  page.conversation = {
    begin: function () {
      talk = page.talks.fresh();
      page.running.begin({current: function () { return talk; }, ended: ended, gone: function (id) { removed([id]); }});
      page.archive.begin(function () {
        page.talks.refresh(function () {
          page.tabs.hear(heard);
          page.address.watch(function (id) { if (id !== page.conversation.id()) open(id); });
          if (!opened) open(page.address.before(), null, talk); // nothing has been asked meanwhile, but perhaps set
        });
      });
    },

    /** Opens a conversation, or a new one where there is none with this id; `turn` is the id of what is to be seen. */
    open: function (id, turn) {
      page.address.set(id, false);
      open(id, function () { if (talk.nodes[turn]) reveal(talk.nodes[turn]); });
    },

    fresh: function () {
      page.conversation.open(null);
      page.composer.focus();
    },

    /** Its own settings have been changed. */
    set: function (own) {
      talk.own = own;
      page.composer.draw();
      if (talk.turns.length) page.talks.set(talk.id, {own: own});
    },

    /** These were deleted. */
    removed: removed,
    id: function () { return talk && talk.turns.length ? talk.id : null; },
    isRunning: function () { return !!(talk && now()); },
    ask: ask,
    stop: function () { if (now()) now().stop(); },

    /** Puts the last question into the message box. Gives whether there was one. */
    editLast: function () {
      var turn = last() && questionOf(talk, last());
      if (!turn || now()) return false;
      edit(turn);
      return true;
    }
  };
}(window.MillstreamPage));
