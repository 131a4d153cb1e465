/* The open conversation's address, `#c={id}`, so that Back, a bookmark and a reload find it. */
(function (page) {
  'use strict';

  page.address = {
    /** The id in the address, or null. */
    id: function () { return (location.hash.match(/^#c=([\w.-]+)$/) || [])[1] || null; },

    /** Shows the id in the address: as a step that Back takes back, or in place of the last one. */
    set: function (id, replace) {
      var to = id ? '#c=' + id : location.pathname + location.search;
      page.tab.set('open', id);
      if (id === page.address.id()) return;
      window.history[replace ? 'replaceState' : 'pushState'](null, '', to);
    },

    /** The id in the address, or of what was open here before: signing in leads to an address without one. */
    before: function () { return page.address.id() || page.tab.get('open'); },

    /** `then(id)` when the reader goes back, forward, or to an address. */
    watch: function (then) { window.addEventListener('hashchange', function () { then(page.address.id()); }); }
  };
}(window.MillstreamPage));
