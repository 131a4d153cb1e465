/* What a failure is called in words. */
(function (page) {
  'use strict';
  var KEYS = {
    upstream_refused: 'refused', upstream_limited: 'refused', upstream_auth: 'refused', upstream_protocol: 'refused',
    connect_timeout: 'silent', first_token_timeout: 'silent',
    requests: 'limit', tokens: 'limit', streams: 'limit', login: 'limit',
    full: 'full', draining: 'full', store_unavailable: 'full',
    body_too_large: 'long', url_too_long: 'long',
    stream_not_found: 'gone'
  };

  function key(failure, begun) {
    var found = KEYS[failure.code];
    if ((found === 'limit' || found === 'full') && !failure.retryAfter) return 'failed';
    if (failure.code === 'connection_lost' && !begun) return 'unreachable';
    if (!found && failure.status === 413) return 'long'; // a proxy's
    return found || (begun ? 'broke' : 'failed');
  }

  /** {head, why}: what happened, and what the server says of it. `left` are the seconds until it makes sense to try
      again; `begun`: an answer had begun. */
  page.failureWords = function (failure, begun, left) {
    var said = page.say(key(failure, begun), {n: left}).split('{why}');
    return {head: said[0].trim(), why: said.length > 1 ? failure.message + said[1] : ''};
  };
}(window.MillstreamPage));
