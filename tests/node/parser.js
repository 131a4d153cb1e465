// Feeds static/millstream.js's parser the cases of tests/wire/sse/standard.json: whole, cut at every character, and with more behind.
// Prints how many it has read, and the ones that came out wrong.
import { readFileSync } from "node:fs";
import { isDeepStrictEqual } from "node:util";
import { createContext, runInContext } from "node:vm";

const near = (path) => readFileSync(new URL(path, import.meta.url), "utf-8");
const window = { Date, setTimeout, clearTimeout };
window.window = window;
runInContext(near("../../static/millstream.js"), createContext(window));

function read(pieces) {
  const events = [];
  const parser = new window.Millstream.Parser(({ type, data, id }) => events.push({ type, data, id }));
  pieces.forEach((piece) => parser.feed(piece));
  return { events, retry: parser.retry };
}

const wrong = [];
let reads = 0;
function check(name, how, pieces, expected) {
  reads += 1;
  const { events, retry } = read(pieces);
  if (!isDeepStrictEqual([events, retry], [expected.events, expected.retry ?? null])) wrong.push({ name, how, events, retry });
}

for (const expected of JSON.parse(near("../wire/sse/standard.json"))) {
  const bytes = Uint8Array.from(expected.bytes, (character) => character.charCodeAt(0));
  const text = new TextDecoder().decode(bytes);
  const decoder = new TextDecoder();
  check(expected.name, "whole", [text], expected);
  check(expected.name, "in characters", text.split(""), expected);
  check(expected.name, "in bytes", Array.from(bytes, (byte) => decoder.decode(Uint8Array.of(byte), { stream: true })), expected);
  for (let at = 0; at <= text.length; at += 1) check(expected.name, `cut at ${at}`, [text.slice(0, at), text.slice(at)], expected);
  const { id } = read([text, "\n\ndata: behind\n\n"]).events.at(-1);
  const more = [...expected.events, ...(expected.at_close ?? []), { type: "message", data: "behind", id }];
  check(expected.name, "with more behind", [text, "\n\ndata: behind\n\n"], { ...expected, events: more });
}
process.stdout.write(JSON.stringify({ reads, wrong }));
