/* What the browser keeps for us. localStorage may be full, forbidden or absent; then sessionStorage takes the value,
   which lasts as long as the tab, and at last this object, which lasts as long as the page. */
(function (page) {
  'use strict';
  var PREFIX = 'millstream:';
  var main = document.getElementById('conversation');
  var root = main ? main.getAttribute('data-root') : '';

  function area(name) {
    try { // Chromium and Safari throw at the mere mention where cookies are blocked.
      var found = window[name];
      found.setItem(PREFIX + 'try', '1');
      found.removeItem(PREFIX + 'try');
      return found;
    } catch (error) {
      return null;
    }
  }

  /** Writes to the first area that takes the value; reads what was written last. Values are what JSON can hold. */
  function Store(areas) {
    this.strays = {}; // the keys whose values are not where they should be
    this.areas = areas.filter(Boolean);
    this.first = areas[0];
    this.memory = {};
  }

  Store.prototype.get = function (key) {
    var text = this.memory[key], n;
    for (n = this.areas.length - 1; !text && n >= 0; n--) text = this.areas[n].getItem(PREFIX + root + key);
    try {
      return text ? JSON.parse(text) : null;
    } catch (error) {
      return null; // not ours
    }
  };

  Store.prototype.set = function (key, value) {
    var text = JSON.stringify(value), n;
    this.remove(key, true);
    for (n = 0; n < this.areas.length; n++) {
      try {
        this.areas[n].setItem(PREFIX + root + key, text);
        if (this.areas[n] === this.first) delete this.strays[key];
        else this.strays[key] = true;
        return;
      } catch (error) { /* It is full: what it held is older than this. */
        this.areas[n].removeItem(PREFIX + root + key);
      }
    }
    this.strays[key] = true;
    this.memory[key] = text;
  };

  Store.prototype.remove = function (key, later) {
    delete this.memory[key];
    if (!later) delete this.strays[key];
    this.areas.slice(later ? 1 : 0).forEach(function (area) { area.removeItem(PREFIX + root + key); });
  };

  /** Whether all that was written is where it should be. */
  Store.prototype.lasts = function () { return !!this.first && !Object.keys(this.strays).length; };

  /** Where the page lives: "" or "/path". */
  page.root = root;
  /** What lasts: conversations, settings. */
  page.store = new Store([area('localStorage'), area('sessionStorage')]);
  /** What belongs to this tab: drafts, which conversation is open. */
  page.tab = new Store([area('sessionStorage')]);
  /** The full name of a key, for the event `storage`. */
  page.store.isKey = function (name, key) { return name === PREFIX + root + key; };
}(window.MillstreamPage));
