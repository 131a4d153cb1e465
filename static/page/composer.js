/* The message box: it sends and stops, keeps drafts, grows with its text. */
(function (page) {
  'use strict';
  var form = document.getElementById('ask');
  var box = document.getElementById('message');
  var old = form.querySelector('.send');
  var touch = !!(window.matchMedia && window.matchMedia('(pointer: coarse)').matches);
  var key = null, timer = null, kept = null, icon = 'up';
  var loading = null; // the draft whose files are still to come
  var go = page.make('button', {type: 'submit', 'class': 'go'}, [page.icon(icon)]);
  var hint = page.make('span', {'class': 'hint', 'aria-hidden': 'true'});
  var banner = page.make('p', {'class': 'editing', hidden: true}, [
    page.make('span', {text: page.say('editing')}),
    page.make('button', {type: 'button', 'class': 'link', text: page.say('cancel'), onclick: function () { leave(); }})
  ]);
  var hooks = {};

  function keep() {
    clearTimeout(timer);
    if (!key || loading) return;
    if (kept) page.tab.set('editing.' + key, {turn: kept.turn, text: box.value}); // what is edited is no draft
    else page.drafts.set(key, box.value, page.attachments.list());
  }

  /** Whether a picture would go to a model that is known to see none. */
  function isBlind() { return page.own.isBlind() && page.attachments.list().some(function (file) { return file.type === 'image'; }); }

  function grow() {
    if (window.CSS && CSS.supports && CSS.supports('field-sizing', 'content')) return;
    box.style.height = 'auto';
    box.style.height = box.scrollHeight + 'px'; // page.css limits it
  }

  function changed() {
    grow();
    clearTimeout(timer);
    timer = setTimeout(keep, 300);
    draw();
  }

  function draw() {
    var running = hooks.running(), can = !isBlind() && (box.value.trim() || page.attachments.list().length);
    var label = page.say(running ? 'stop' : 'send');
    if (icon !== (running ? 'stop' : 'up')) page.swapIcon(go, icon = running ? 'stop' : 'up');
    go.setAttribute('aria-label', label);
    go.title = label;
    go.setAttribute('aria-disabled', String(!running && !can));
    go.classList.toggle('halt', running);
    page.stateline.block(isBlind() ? page.say('cant_see', {model: page.own.model()}) : '');
    hint.textContent = touch ? '' : page.say(page.prefers('enter') ? 'hint' : 'hint_ctrl');
  }

  function put(text, files) {
    box.value = text;
    page.attachments.put(files || []);
    changed();
  }

  function done() {
    if (kept) page.tab.remove('editing.' + key);
    kept = null;
    page.show(banner, false);
    keep();
  }

  /** Leaves editing; the draft that was there comes back. */
  function leave() {
    if (kept === null) return;
    put(kept.text, kept.files);
    done();
    box.focus();
  }

  function send() {
    if (hooks.running()) page.stateline.hint(page.say('busy'));
    else if (page.attachments.isReading()) page.stateline.hint(page.say('reading'));
    else if (isBlind()) page.speech.tell(page.say('cant_see', {model: page.own.model()})); // the line says it already
    else if (box.value.trim() || page.attachments.list().length) hooks.send(box.value, page.attachments.list());
  }

  function submitted(event) {
    event.preventDefault();
    if (hooks.running()) hooks.stop();
    else send();
  }

  function pressed(event) {
    var enter = event.key === 'Enter' || event.keyCode === 13;
    if (event.isComposing || event.keyCode === 229) return; // the Enter that ends a Chinese word
    if (enter && !event.shiftKey && (event.ctrlKey || event.metaKey || (page.prefers('enter') && !touch && !event.altKey))) {
      event.preventDefault();
      send();
    } else if ((event.key === 'ArrowUp' || event.keyCode === 38) && !box.value) {
      if (hooks.edit()) event.preventDefault();
    }
  }

  page.composer = {
    /** hooks: running() → boolean, send(text), stop(), edit() → whether there was something to edit. */
    begin: function (given) {
      var row = form.querySelector('.row');
      hooks = given;
      box.removeAttribute('required');
      box.rows = 1;
      page.remove(old);
      row.appendChild(hint);
      row.appendChild(go);
      form.insertBefore(banner, form.firstChild);
      form.insertBefore(page.stateline.element, form.firstChild);
      page.attachments.begin({form: form, box: box, row: row, changed: function () {
        changed();
        keep();
      }});
      form.addEventListener('submit', submitted);
      box.addEventListener('input', changed);
      box.addEventListener('keydown', pressed);
      window.addEventListener('pagehide', keep);
      draw();
    },

    /** Shows the draft of another conversation. */
    open: function (id) {
      var starts = key === null, draft; // something may stand there before all is loaded
      keep();
      draft = page.drafts.get(id);
      kept = null;
      page.show(banner, false);
      key = id;
      loading = draft;
      put((starts && box.value) || draft.text, starts ? page.attachments.list() : []);
      if (!draft.files.length) loading = null;
      else page.attachments.load(draft.files, function (files) {
        if (loading !== draft) return; // another one is open
        loading = null;
        files = files.filter(function (file) { return file.content !== null; });
        if (kept) kept.files = files.concat(kept.files); // something is edited meanwhile
        else page.attachments.put(files.concat(page.attachments.list()));
      });
    },

    /** From here on drafts belong to this conversation, which has just begun. */
    rename: function (id) {
      page.drafts.set(key, '', []);
      key = id;
    },

    /** What was sent leaves the box. The focus stays, but on touch the keyboard closes. */
    sent: function () {
      put(kept ? kept.text : '', kept && kept.files);
      done();
      if (touch) box.blur();
      else box.focus();
    },

    /** Gives text back that was not taken, if nothing else has been written meanwhile. Gives whether it did. */
    giveBack: function (question) {
      if (box.value || page.attachments.list().length) return false;
      put(question.text);
      page.attachments.load(question.files, page.attachments.put);
      return true;
    },

    /** `text` instead of the question's: as far as it was edited before a reload. */
    edit: function (question, text) {
      if (text === undefined) text = question.text;
      if (!kept) keep(); // what was typed just now
      kept = kept || {text: box.value, files: page.attachments.list()};
      kept.turn = question.id;
      put(text);
      page.attachments.load(question.files, function (files) {
        page.attachments.put(files.filter(function (file) { return file.content !== null; }));
      });
      page.show(banner, true);
      box.focus();
      box.setSelectionRange(text.length, text.length);
    },

    fill: function (text) {
      put(text, page.attachments.list());
      box.focus();
    },

    /** What was being edited when this conversation was left: {turn: id, text}, or null. */
    edited: function () { return page.tab.get('editing.' + key); },
    isEditing: function () { return kept !== null; },
    leave: leave,
    focus: function () { box.focus(); },
    text: function () { return box.value; },
    keep: keep,
    draw: draw,
    form: form,
    box: box
  };
}(window.MillstreamPage));
