/* Small values that the browser keeps for us: settings and drafts. localStorage may be full, forbidden or absent; then
   sessionStorage takes the value, which lasts as long as the tab, and at last this object, which lasts as long as the page. */
(function (page) {
  'use strict';
  var main = document.getElementById('conversation');
  var root = main ? main.getAttribute('data-root') : '';
  var prefix = 'millstream:' + root;

  /** An area of web storage, or null. */
  page.area = function (name) {
    try { // Chromium and Safari throw at the mere mention where cookies are blocked.
      var found = window[name];
      found.getItem(prefix);
      return found;
    } catch (error) {
      return null;
    }
  };

  /** Writes to the first area that takes the value; reads what was written last. Values are what JSON can hold. */
  function Store(areas) {
    this.areas = areas.filter(Boolean);
    this.memory = {};
  }

  Store.prototype.get = function (key) {
    var text = this.memory[key], n;
    for (n = this.areas.length - 1; !text && n >= 0; n--) text = this.areas[n].getItem(prefix + key);
    try {
      return text ? JSON.parse(text) : null;
    } catch (error) {
      return null; // not ours
    }
  };

  Store.prototype.set = function (key, value) {
    var text = JSON.stringify(value), n;
    this.clear(key, 1);
    for (n = 0; n < this.areas.length; n++) {
      try {
        this.areas[n].setItem(prefix + key, text);
        return;
      } catch (error) { /* It is full, and keeps what it has. */ }
    }
    this.memory[key] = text;
  };

  Store.prototype.remove = function (key) { this.clear(key, 0); };

  /** Removes the value from memory and from the areas from this one on. */
  Store.prototype.clear = function (key, from) {
    delete this.memory[key];
    this.areas.slice(from).forEach(function (area) { area.removeItem(prefix + key); });
  };

  page.main = main;
  /** Where the page lives: "" or "/path". */
  page.root = root;
  /** What the names of all that is kept begin with: other paths of this origin may be other servers. */
  page.prefix = prefix;
  /** What lasts: settings. */
  page.store = new Store([page.area('localStorage'), page.area('sessionStorage')]);
  /** What belongs to this tab: drafts. */
  page.tab = new Store([page.area('sessionStorage')]);
}(window.MillstreamPage));
