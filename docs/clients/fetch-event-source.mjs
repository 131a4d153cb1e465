// With @microsoft/fetch-event-source, for pages that are built with a bundler.
import {fetchEventSource} from '@microsoft/fetch-event-source';

export function ask(url, prompt, ontext) {
  const leave = new AbortController();
  return fetchEventSource(`${url}/chat`, {
    method: 'POST',
    headers: {'Content-Type': 'application/json', 'Idempotency-Key': crypto.randomUUID()},
    body: JSON.stringify({prompt}),
    signal: leave.signal,
    openWhenHidden: true,
    onmessage({event, data}) {
      if (event === '') ontext(JSON.parse(data).text);
      if (event === 'done') leave.abort();
      if (event === 'failed') throw new Error(JSON.parse(data).error.message);
    },
    onerror(error) { throw error; },  // otherwise the package asks again
  });
}
