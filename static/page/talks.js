/* The conversations that this browser keeps: {id, title, at, turns}. A turn is {role: 'user', text} or an answer's
   record, see answering.js. */
(function (page) {
  'use strict';

  function list() {
    var found = page.store.get('talks');
    return Array.isArray(found) ? found : [];
  }

  function entry(talk) { return {id: talk.id, title: talk.title, at: talk.at}; }

  function without(id) { return list().filter(function (talk) { return talk.id !== id; }); }

  /** What was refused is in the message box again and not in the conversation. */
  function kept(turns) {
    var n = turns.length;
    return n > 1 && turns[n - 2].refused ? turns.slice(0, n - 2) : turns;
  }

  page.talks = {
    /** [{id, title, at}], the latest first. */
    list: list,

    fresh: function () {
      return {id: Date.now().toString(36) + Math.random().toString(36).slice(2, 8), title: '', at: Date.now(), turns: []};
    },

    load: function (id) {
      var talk = page.store.get('talk.' + id);
      return talk && Array.isArray(talk.turns) ? talk : null;
    },

    save: function (talk) {
      var turns = kept(talk.turns);
      if (!turns.length) return;
      talk.title = turns[0].text.trim().split('\n')[0].slice(0, 60);
      page.store.set('talk.' + talk.id, {id: talk.id, title: talk.title, at: talk.at, turns: turns});
      page.store.set('talks', [entry(talk)].concat(without(talk.id)).sort(function (a, b) { return b.at - a.at; }));
    },

    /** Forgets these conversations. Gives a function that brings them back. */
    remove: function (ids) {
      var before = list();
      var talks = ids.map(page.talks.load);
      page.store.set('talks', before.filter(function (talk) { return ids.indexOf(talk.id) < 0; }));
      ids.forEach(function (id) { page.store.remove('talk.' + id); });
      return function () { talks.forEach(function (talk) { if (talk) page.talks.save(talk); }); };
    }
  };
}(window.MillstreamPage));
