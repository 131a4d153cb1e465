/* What a failure is called in words: what the reader can do. What the operator must know is in the server's own sentence,
   which only operators are shown. */
(function (page) {
  'use strict';
  var KEYS = {
    upstream_refused: 'unavailable', upstream_auth: 'unavailable', upstream_protocol: 'unavailable', connect_timeout: 'unavailable',
    upstream_limited: 'limit', first_token_timeout: 'silent', content_filter: 'filtered',
    upstream_broke: 'broke', silence_timeout: 'broke', total_timeout: 'broke', interrupted: 'broke', connection_lost: 'broke',
    requests: 'limit', tokens: 'limit', streams: 'limit', login: 'limit',
    full: 'full', draining: 'full', store_unavailable: 'full',
    body_too_large: 'too_long', prompt_too_long: 'too_long', url_too_long: 'too_long',
    stream_not_found: 'gone'
  };
  var operates = page.main.getAttribute('data-operator') === 'yes';

  function key(failure, begun) {
    var found = KEYS[failure.code];
    if ((found === 'limit' || found === 'full') && !failure.retryAfter) return 'unavailable';
    if (failure.code === 'connection_lost' && !begun) return 'unreachable';
    // A proxy's 413; and upstreams' words for it, of which there are many.
    if (!found && (failure.status === 413 || /context.{0,9}(length|window|size)|maximum.{0,20}tokens/i.test(failure.message))) return 'too_long';
    return found || (begun ? 'broke' : 'failed');
  }

  /** Whether less has to be asked. */
  page.isTooLong = function (failure) { return key(failure, true) === 'too_long'; };

  /** {head, why, said}: what happened, what the server says of it where we have no words, and what it says to operators.
      `left` are the seconds until it makes sense to try again; `begun`: an answer had begun. */
  page.failureWords = function (failure, begun, left) {
    var found = key(failure, begun);
    var words = page.say(found === 'too_long' && failure.alone ? 'long' : found, {n: left}).split('{why}');
    return {
      head: words[0].trim(), why: words.length > 1 ? failure.message + words[1] : '',
      said: operates && words.length < 2 ? failure.message : ''
    };
  };
}(window.MillstreamPage));
