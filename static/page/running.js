/* The answers that are being written, at most one in each conversation. They go on when another one is opened; what they
   draw is drawn only while it is in sight. */
(function (page) {
  'use strict';
  var running = {}; // id of a conversation → its answering
  var hooks = {};
  var kept = []; // what this page left when it was hidden last, as JSON

  /** Puts these changes in place of those that this page left before, for the next page to write. */
  function left(changes) {
    var others = (page.store.get('left') || []).filter(function (change) { return kept.indexOf(JSON.stringify(change)) < 0; });
    kept = changes;
    changes = others.concat(changes.map(function (change) { return JSON.parse(change); }));
    if (changes.length) page.store.set('left', changes);
    else page.store.remove('left');
  }

  function drop(ids) {
    ids.forEach(function (id) {
      if (!running[id]) return;
      running[id].stop();
      if (running[id].record.url) running[id].close(); // else it is stopped as soon as it has an address
      delete running[id];
    });
  }

  page.running = {
    /** hooks: current() → the open conversation, ended(talk, record), gone(id). */
    begin: function (given) { hooks = given; },
    of: function (id) { return running[id] || null; },
    ids: function () { return Object.keys(running); },

    /** Asks for the answer of this record, or goes on with it. */
    run: function (talk, record) {
      var answering;
      function seen(act) {
        return function (value) {
          var view = hooks.current() === talk && page.thread.view(record);
          if (view) act(view, value);
        };
      }
      function progress() { page.progress.draw(running[talk.id] || null); }
      answering = running[talk.id] = page.answering(record, {
        text: seen(function (view, piece) { view.text(piece); }),
        thought: seen(function (view, piece) { view.thought(piece); }),
        started: seen(function () {
          page.speech.tell(page.say('started'));
          progress();
        }),
        changed: seen(progress),
        lost: seen(function (view, attempt) {
          if (attempt === 1) page.speech.tell(page.say('lost_said'));
          progress();
        }),
        back: seen(function () {
          page.speech.tell(page.say('connected'));
          progress();
        }),
        save: function (quiet) {
          page.talks.save(talk, [record], {quiet: quiet}, function (gone) { if (gone) hooks.gone(talk.id); });
        },
        ended: function () {
          if (running[talk.id] !== answering) return;
          delete running[talk.id];
          hooks.ended(talk, record);
        }
      });
      answering.talk = talk;
      page.asking(talk, record, answering.ask);
      if (hooks.current() === talk) {
        progress();
        page.composer.draw();
      }
    },

    /** Stops the answers of these conversations, and forgets them. */
    drop: drop,

    /** Keeps what has come so far, and what is not written yet: the page is being left. */
    keep: function () {
      left(page.archive.pending().concat(Object.keys(running).map(function (id) {
        var talk = running[id].talk, record = running[id].record;
        return {talk: id, set: {at: talk.at, tip: talk.tip}, turns: [talk.nodes[record.parent], record]};
      })).map(function (change) { return JSON.stringify(change); }));
    },

    /** The page is there again as it was, and writes all of it itself. */
    back: function (event) {
      if (event.persisted) left([]);
    }
  };
}(window.MillstreamPage));
