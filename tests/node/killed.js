// OpenAI's package and useChat's transport over a worker that dies: `node killed.js URL` asks, says so, and resumes at a line.
import { once } from "node:events";
import { DefaultChatTransport, readUIMessageStream } from "ai";
import OpenAI from "openai";

const [url] = process.argv.slice(2);
const print = (value) => process.stdout.write(JSON.stringify(value) + "\n");
const openai = new OpenAI({ baseURL: `${url}/v1`, apiKey: "x", maxRetries: 5 });
const numbers = [];
let id, partial, whole, error, failed;

for await (const event of await openai.responses.create({ model: "slow", input: "Hi", background: true, stream: true })) {
  id ??= event.response.id;
  if (numbers.push(event.sequence_number) === 7) break;
}
const chat = { chatId: "c", trigger: "submit-message", messages: [{ id: "u", role: "user", parts: [{ type: "text", text: "Hi" }] }] };
const transport = new DefaultChatTransport({ api: `${url}/ui/chat`, body: { model: "slow" } });
const words = (message) => message?.parts.find((part) => part.type === "text")?.text ?? "";
const stream = await transport.sendMessages(chat);
const reading = (async () => {
  for await (partial of readUIMessageStream({ stream, onError: () => {} })) if (words(partial).split(" ").length === 3) print("asked");
})().catch(() => {});
await once(process.stdin, "data");
await reading;

try {
  for await (const event of await openai.responses.retrieve(id, { stream: true, starting_after: 6 })) numbers.push(event.sequence_number);
} catch (caught) {
  error = caught.code;
}
const onError = (caught) => (failed = String(caught));
for await (whole of readUIMessageStream({ stream: await transport.reconnectToStream(chat), onError }));
print({ numbers, error, status: (await openai.responses.retrieve(id)).status, failed, same: whole.id === partial.id, words: [words(partial), words(whole)] });
process.exit();
