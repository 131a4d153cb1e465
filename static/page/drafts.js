/* What has been written and not been sent, for each conversation: its text in this tab's store; its files in the archive,
   each as a conversation of its own that has no title and so is in no list. */
(function (page) {
  'use strict';
  var MONTH = 2592000000; // ms
  var PREFIX = 'draft-';

  function named(key) { return 'draft.' + key; }

  function keep(file) {
    file.draft = page.newId();
    page.archive.write({
      talk: PREFIX + file.draft, set: {at: Date.now()}, files: [{id: file.draft, talk: PREFIX + file.draft, content: file.content}], quiet: true
    });
  }

  page.drafts = {
    /** {text, files: without their contents, see attachments.load}. */
    get: function (key) {
      var draft = page.tab.get(named(key)) || '';
      return draft.files ? draft : {text: draft, files: []}; // a text alone, from older versions of the page
    },

    /** Keeps it; what is no longer in it is erased. */
    set: function (key, text, files) {
      var before = page.drafts.get(key).files;
      files.forEach(function (file) { if (!file.draft) keep(file); });
      before.forEach(function (old) {
        if (!files.some(function (file) { return file.draft === old.draft; })) page.archive.purge(PREFIX + old.draft);
      });
      if (!text && !files.length) return page.tab.remove(named(key));
      page.tab.set(named(key), {text: text, files: files.map(function (file) { return page.changed(file, {id: file.draft, content: null}); })});
    },

    /** Whether this record of the archive is one that nobody will come back to: its tab was closed. */
    isOld: function (talk) { return talk.id.indexOf(PREFIX) === 0 && talk.at < Date.now() - MONTH; }
  };
}(window.MillstreamPage));
