/* Puts the page together. */
(function (page) {
  'use strict';
  var html = document.documentElement;
  var bar = document.querySelector('.bar');
  var dock = document.querySelector('.dock');
  var tools = page.make('div', {'class': 'tools'});

  if (!window.Millstream || html.className.indexOf('js') !== 0) {
    html.className = 'no-js';
    return;
  }
  bar.appendChild(tools);
  page.own.begin(tools, {changed: page.conversation.set, begun: page.conversation.id});
  page.speech.begin(dock);
  page.scrolling.begin(dock);
  page.composer.begin({
    running: page.conversation.isRunning, send: page.conversation.ask, stop: page.conversation.stop,
    edit: page.conversation.editLast
  });
  page.thread.begin(page.composer.fill);
  page.settings.begin(tools);
  page.rail.begin(bar, {
    current: page.conversation.id, open: page.conversation.open, fresh: page.conversation.fresh, removed: page.conversation.removed
  });
  page.keys.begin();
  window.addEventListener('pagehide', page.running.keep);
  window.addEventListener('pageshow', page.running.back);
  page.stateline.begin();
  page.offline.begin();
  // The modules that draw markdown run before this event; what is kept should be drawn with them.
  if ('noModule' in document.createElement('script') && document.readyState === 'loading') document.addEventListener('DOMContentLoaded', page.conversation.begin);
  else page.conversation.begin();
}(window.MillstreamPage));
