/* Tells when an answer is done and the page is not looked at: a mark in the title, and a notification where the reader and
   the browser allow it. */
(function (page) {
  'use strict';
  var LONG = 10000; // ms of a first answer, after which it is offered
  var LETTERS = 140;
  var strip = null;

  function can() { return !!window.Notification && window.isSecureContext !== false; }

  function isOn() { return can() && page.prefers('notify') && window.Notification.permission === 'granted'; }

  function show(talk, text) {
    var title = (page.talks.entry(talk.id) || {title: page.say('name')}).title;
    var options = {body: text.trim().slice(0, LETTERS), tag: talk.id, icon: page.root + '/static/icons/icon-192.png', data: '#c=' + talk.id};
    page.offline.worker(function (worker) {
      if (worker && worker.showNotification) return worker.showNotification(title, options); // Android has this way only
      var shown = new window.Notification(title, options);
      shown.onclick = function () {
        window.focus();
        page.conversation.open(talk.id);
        shown.close();
      };
    });
  }

  /** `then(allowed)`, after the browser has asked. */
  function allow(then) {
    function told(permission) {
      page.prefer('notify', permission === 'granted');
      then(permission === 'granted');
    }
    var asked = window.Notification.requestPermission(told); // Safari before 16 calls back, others give a promise
    if (asked && asked.then) asked.then(told);
  }

  function close() {
    page.remove(strip);
    strip = null;
    page.prefer('notify_asked', true);
    page.composer.focus();
  }

  page.notify = {
    /** An answer has ended. */
    ended: function (talk, record) {
      if (!document.hidden) return;
      page.title.mark();
      if (isOn()) show(talk, record.text || page.say(record.state === 'failed' ? 'broke' : 'stopped'));
    },

    /** To be called while an answer is written: offers it once, when it takes long. */
    look: function (record) {
      if (strip || Date.now() - record.asked < LONG || !can() || page.prefers('notify_asked') || window.Notification.permission !== 'default') return;
      strip = page.make('p', {'class': 'undo'}, [page.make('span', {text: page.say('notify_ask')}), page.make('span', {'class': 'links'}, [
        page.make('button', {type: 'button', 'class': 'link', text: page.say('notify_yes'), onclick: function () { allow(close); }}),
        page.make('button', {type: 'button', 'class': 'link', text: page.say('not_now'), onclick: close})
      ])]);
      page.composer.form.insertBefore(strip, page.composer.form.firstChild);
    },

    /** The line of the settings menu. */
    setting: function () {
      if (!can()) return null;
      var note = page.make('p', {'class': 'small', id: 'notify-note'});
      var check = page.make('input', {type: 'checkbox', 'aria-describedby': 'notify-note', onchange: function () {
        page.prefer('notify', false);
        if (check.checked) allow(draw);
        else draw();
      }});
      function draw() {
        check.checked = isOn();
        note.textContent = page.say(window.Notification.permission === 'denied' ? 'notify_blocked' : 'notify_note');
      }
      draw();
      return page.make('div', {}, [page.make('label', {'class': 'line'}, [page.make('span', {text: page.say('notify')}), check]), note]);
    }
  };
}(window.MillstreamPage));
