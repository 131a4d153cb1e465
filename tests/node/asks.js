// Opens a stream of static/millstream.js where every connection stays silent, so that it steps down to polling; over `options`, as
// JSON in the first argument. Prints what it asked: [method, address] each.
import { readFileSync } from "node:fs";
import { createContext, runInContext } from "node:vm";

const ID = "abcdefghijklmnopqrstuv";
const options = JSON.parse(process.argv[2]);
const asked = [];

class XMLHttpRequest {
  open(method, url) {
    asked.push([method, url]);
    this.answer = method === "POST" ? [201, { id: ID, url: `/streams/${ID}` }] : [200, { id: ID, status: "done", events: [], last: 0 }];
    this.silent = url.includes("/chat");
  }
  setRequestHeader() {}
  getResponseHeader() { return ""; }
  abort() {}
  send() {
    if (this.silent) return;
    queueMicrotask(() => {
      [this.status, this.readyState, this.responseText] = [this.answer[0], 4, JSON.stringify(this.answer[1])];
      this.onreadystatechange();
    });
  }
}
class EventSource {
  constructor(url) { asked.push(["GET", url]); }
  addEventListener() {}
  close() {}
}
const stored = new Map();
const storage = { getItem: (name) => stored.get(name) ?? null, setItem: (name, value) => stored.set(name, value), removeItem: (name) => stored.delete(name),
  key: (n) => [...stored.keys()][n], get length() { return stored.size; } };
const window = { setTimeout, clearTimeout, TextDecoder, XMLHttpRequest, EventSource, navigator: {}, localStorage: storage, sessionStorage: storage,
  addEventListener() {}, removeEventListener() {}, Response: class { get body() { return null; } },
  fetch: (url, { method }) => new Promise(() => { asked.push([method, url]); }) };
window.window = window;
runInContext(readFileSync(new URL("../../static/millstream.js", import.meta.url), "utf-8"), createContext(window));

for (let other = 0; other < options.others; other += 1) stored.set(`millstream.open.0${other}`, Date.now());
Object.assign(window.Millstream.limits, { start: 20, retries: 0 });
const stream = window.Millstream.open({ ...options, body: { prompt: "Hi" } });
stream.ondone = stream.onfail = () => process.stdout.write(JSON.stringify(asked));
