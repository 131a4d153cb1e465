// The official `openai` package: `node sdk.js URL KEY WHAT QUESTION` asks, and prints what came as JSON lines.
import OpenAI from "openai";

const [url, key, what, question] = process.argv.slice(2);
const client = new OpenAI({ baseURL: url, apiKey: key, maxRetries: 0 });
const body = JSON.parse(question ?? "null");
const print = (value) => process.stdout.write(JSON.stringify(value) + "\n");

const ways = {
  async whole() {
    print(await client.chat.completions.create(body));
  },
  async stream() {
    for await (const chunk of await client.chat.completions.create({ ...body, stream: true })) print(chunk);
  },
  async helper() {
    const runner = client.chat.completions.stream(body);
    const events = [];
    runner.on("content", (text) => events.push(text));
    const final = await runner.finalChatCompletion();
    print({ events, choices: final.choices });
  },
  async tools() {
    const tool = {
      type: "function",
      function: { ...body.tools[0].function, parse: JSON.parse, function: ({ city }) => `12 °C in ${city}` },
    };
    const runner = client.chat.completions.runTools({ ...body, stream: true, tools: [tool] });
    print({ final: await runner.finalContent(), messages: runner.messages });
  },
  async legacy() {
    for await (const chunk of await client.completions.create({ ...body, stream: true })) print(chunk);
  },
  async models() {
    for await (const model of client.models.list()) print(await client.models.retrieve(model.id));
  },
  async abort() {
    const stream = await client.chat.completions.create({ ...body, stream: true });
    for await (const chunk of stream) {
      print(chunk);
      stream.controller.abort();
    }
    print("aborted");
  },
  async timeout() {
    await client.chat.completions.create(body, { timeout: 500 });
  },
  async twice() {
    const headers = { "Idempotency-Key": "node-" + process.pid };
    for (let n = 0; n < 2; n++) print(await client.chat.completions.create(body, { headers }));
  },
  async raw() {
    const { data, response, request_id } = await client.chat.completions.create(body).withResponse();
    print({ status: response.status, type: response.headers.get("content-type"), request_id, object: data.object });
  },
};

try {
  await ways[what]();
} catch (error) {
  const { status, code, type, param, requestID, message } = error;
  print({ raised: error.constructor.name, status, code, type, param, requestID, message });
}
