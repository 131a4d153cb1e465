/* The window's title: the open conversation's, and a mark when something has come that was not seen. */
(function (page) {
  'use strict';
  var marked = false;

  page.title = {
    draw: function () {
      var entry = page.talks.entry(page.conversation.id());
      document.title = (marked ? '● ' : '') + (entry ? entry.title + ' – ' : '') + page.say('name');
    },

    /** Marks it until the page is looked at. */
    mark: function () {
      marked = true;
      page.title.draw();
    }
  };

  document.addEventListener('visibilitychange', function () {
    if (!marked || document.hidden) return;
    marked = false;
    page.title.draw();
  });
}(window.MillstreamPage));
