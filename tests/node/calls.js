// Opens a stream of static/millstream.js over EventSource, which hears only of the types that it listens to; prints what came,
// and how often it connected.
import { readFileSync } from "node:fs";
import { createContext, runInContext } from "node:vm";

const ID = "abcdefghijklmnopqrstuv";
const EVENTS = [
  ["start", { id: ID, url: `/streams/${ID}`, model: "m" }],
  ["message", { text: "Hel" }],
  ["call", { index: 0, id: "a", name: "w", arguments: "{}" }],
  ["choice", { choice: 1, of: "message", text: "other" }],
  ["message", { text: "lo" }],
  ["done", { finish_reason: "tool_calls" }],
];
let connected = 0;

class EventSource {
  constructor() {
    connected += 1;
    this.heard = {};
    queueMicrotask(() => EVENTS.forEach(([type, data], n) => {
      this.heard[type]?.({ data: JSON.stringify(data), lastEventId: `${ID}.${n}` });
    }));
  }
  addEventListener(type, hear) { this.heard[type] = hear; }
  close() { this.heard = {}; }
}
class XMLHttpRequest { // POST /streams
  open() {}
  setRequestHeader() {}
  getResponseHeader() { return ""; }
  abort() {}
  send() {
    queueMicrotask(() => {
      [this.status, this.readyState, this.responseText] = [201, 4, JSON.stringify({ id: ID, url: `/streams/${ID}` })];
      this.onreadystatechange();
    });
  }
}
const storage = { getItem: () => null, setItem() {}, removeItem() {}, key: () => null, length: 0 };
const window = { setTimeout, clearTimeout, TextDecoder, XMLHttpRequest, EventSource, navigator: {}, localStorage: storage,
  sessionStorage: storage, addEventListener() {}, removeEventListener() {} };
window.window = window;
runInContext(readFileSync(new URL("../../static/millstream.js", import.meta.url), "utf-8"), createContext(window));

const stream = window.Millstream.open({ url: "/chat", body: { prompt: "Hi" }, transport: "eventsource" });
const came = [];
for (const name of ["ontext", "oncall"]) stream[name] = (data) => came.push(data);
const print = () => process.stdout.write(JSON.stringify({ came, connected }), () => process.exit());
stream.ondone = print;
setTimeout(print, 3000);
