/* What the tabs of this page tell each other: over a BroadcastChannel, else (Safari before 15.4, old browsers) by the event
   that a change of localStorage makes in all others. */
(function (page) {
  'use strict';
  var heard = [], channel = null, storage = page.area('localStorage'), name = page.prefix + 'news';

  function hear(message) { heard.forEach(function (listener) { listener(message); }); }

  try {
    channel = new window.BroadcastChannel(name);
    channel.onmessage = function (event) { hear(event.data); };
  } catch (error) {
    window.addEventListener('storage', function (event) {
      if (event.key === name && event.newValue) hear(JSON.parse(event.newValue).message);
    });
  }

  page.tabs = {
    tell: function (message) {
      if (channel) return channel.postMessage(message);
      try {
        storage.setItem(name, JSON.stringify({message: message, once: Math.random()})); // an equal value is no change
      } catch (error) { /* forbidden, or full */ }
    },
    hear: function (listener) { heard.push(listener); }
  };
}(window.MillstreamPage));
