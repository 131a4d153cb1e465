/* Has static/offline.js keep what this page is made of, so that it opens without the server. */
(function (page) {
  'use strict';
  var workers = window.isSecureContext && navigator.serviceWorker;

  /** The policy lets a script's address come from here alone, whatever is given to it. */
  function address() {
    var fixed = page.root + '/offline.js';
    if (!window.trustedTypes) return fixed;
    return window.trustedTypes.createPolicy('offline', {createScriptURL: function () { return fixed; }}).createScriptURL('');
  }

  function used() {
    var scope = location.origin + page.root + '/';
    var all = window.performance.getEntriesByType('resource').map(function (entry) { return entry.name; });
    return [scope, scope + 'static/icons/icon-192.png'].concat(all.filter(function (name) {
      return name.indexOf(scope) === 0 && /^(static\/|page\.js\?|logo|manifest\.webmanifest)/.test(name.slice(scope.length));
    }));
  }

  page.offline = {
    begin: function () {
      if (!workers) return;
      window.addEventListener('load', function () {
        workers.register(address()).then(function () { return workers.ready; }).then(function (ready) {
          ready.active.postMessage({keep: used()});
        }).then(null, function () {}); // forbidden, as in Firefox's private windows
      });
    },

    /** The page is somebody's; another one may come. */
    forget: function () { if (workers && workers.controller) workers.controller.postMessage({forget: true}); },

    /** `then(registration or null)` */
    worker: function (then) {
      if (!workers) return then(null);
      workers.getRegistration().then(function (found) { then(found || null); }, function () { then(null); });
    }
  };
}(window.MillstreamPage));
