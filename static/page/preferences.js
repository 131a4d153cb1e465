/* Settings. Theme and language are cookies, so that the server draws the page with them; the rest is kept here. */
(function (page) {
  'use strict';
  var YEAR = 31536000; // s
  var settings = page.store.get('settings') || {};
  var DEFAULTS = {enter: true, model: '', preset: '', notify: false, notify_asked: false};

  page.prefers = function (name) { return settings[name] === undefined ? DEFAULTS[name] : settings[name]; };

  page.prefer = function (name, value) {
    settings[name] = value;
    page.store.set('settings', settings);
  };

  page.cookie = function (name, value) {
    document.cookie = 'millstream_' + name + '=' + value + '; path=' + (page.root || '/') + '; max-age=' + YEAR + '; SameSite=Lax';
  };
}(window.MillstreamPage));
