/* A service worker: it opens the page when the server can't be reached, with the files that the page used last. Whatever is
   asked of the server (answers, streams, keys) goes past it. */
"use strict";

const KEPT = "millstream";
const scope = new URL(self.registration.scope);

/** The page itself, and the files that it is made of. */
function isOurs(request) {
  const url = new URL(request.url);
  if (request.method !== "GET" || url.origin !== scope.origin || !url.pathname.startsWith(scope.pathname)) return false;
  const path = url.pathname.slice(scope.pathname.length);
  return request.mode === "navigate" ? path === "" : /^(static\/|page\.js$|logo$|manifest\.webmanifest$)/.test(path);
}

/** The server's answer, else the one before. */
async function fresh(request) {
  const page = request.mode === "navigate";
  try {
    const response = await fetch(request);
    const kept = await caches.open(KEPT);
    if (response.ok && !response.redirected) await kept.put(page ? scope.pathname : request, response.clone());
    else if (page && response.redirected) await kept.delete(scope.pathname); // signed out
    return response;
  } catch (error) {
    const kept = await caches.match(page ? scope.pathname : request, { cacheName: KEPT, ignoreVary: true });
    if (kept) return kept;
    throw error;
  }
}

/** Takes in what a page was made of before this worker was there, and drops what is older. */
async function keep(addresses) {
  const kept = await caches.open(KEPT);
  const wanted = new Set(addresses);
  for (const request of await kept.keys()) if (!wanted.has(request.url)) await kept.delete(request);
  for (const address of wanted) if (!(await kept.match(address, { ignoreVary: true }))) await kept.add(address).catch(() => {});
}

self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));
self.addEventListener("fetch", (event) => {
  if (isOurs(event.request)) event.respondWith(fresh(event.request));
});
self.addEventListener("message", (event) => {
  if (event.data.keep) event.waitUntil(keep(event.data.keep));
  if (event.data.forget) event.waitUntil(caches.delete(KEPT));
});
self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  event.waitUntil(
    self.clients.matchAll({ type: "window" }).then(([open]) => (open ? open.focus() : self.clients.openWindow(scope.href + event.notification.data)))
  );
});
