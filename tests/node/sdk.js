// The official `openai` package. Each line of the input is an ask, [URL, KEY, WHAT, QUESTION]. What came is printed as
// JSON lines, and an empty line is its end.
import OpenAI from "openai";
import readline from "node:readline";

const print = (value) => process.stdout.write(JSON.stringify(value) + "\n");

const ways = {
  async whole(client, body) {
    print(await client.chat.completions.create(body));
  },
  async stream(client, body) {
    for await (const chunk of await client.chat.completions.create({ ...body, stream: true })) print(chunk);
  },
  async helper(client, body) {
    const runner = client.chat.completions.stream(body);
    const events = [];
    runner.on("content", (text) => events.push(text));
    const final = await runner.finalChatCompletion();
    print({ events, choices: final.choices });
  },
  async tools(client, body) {
    const tool = {
      type: "function",
      function: { ...body.tools[0].function, parse: JSON.parse, function: ({ city }) => `12 °C in ${city}` },
    };
    const runner = client.chat.completions.runTools({ ...body, stream: true, tools: [tool] });
    print({ final: await runner.finalContent(), messages: runner.messages });
  },
  async legacy(client, body) {
    for await (const chunk of await client.completions.create({ ...body, stream: true })) print(chunk);
  },
  async models(client) {
    for await (const model of client.models.list()) print(await client.models.retrieve(model.id));
  },
  async abort(client, body) {
    const stream = await client.chat.completions.create({ ...body, stream: true });
    for await (const chunk of stream) {
      print(chunk);
      stream.controller.abort();
    }
    print("aborted");
  },
  async timeout(client, body) {
    await client.chat.completions.create(body, { timeout: 500 });
  },
  async twice(client, body) {
    const headers = { "Idempotency-Key": crypto.randomUUID() };
    for (let n = 0; n < 2; n++) print(await client.chat.completions.create(body, { headers }));
  },
  async raw(client, body) {
    const { data, response, request_id } = await client.chat.completions.create(body).withResponse();
    print({ status: response.status, type: response.headers.get("content-type"), request_id, object: data.object });
  },
};

// Node's own fetch keeps connections here. Each ask gets new ones, as a process of its own would.
const AGENT = Symbol.for("undici.globalDispatcher.1");

async function hangUp() {
  const agent = globalThis[AGENT];
  globalThis[AGENT] = new agent.constructor();
  await agent.destroy();
}

for await (const line of readline.createInterface({ input: process.stdin })) {
  const [url, key, what, question] = JSON.parse(line);
  try {
    await ways[what](new OpenAI({ baseURL: url, apiKey: key, maxRetries: 0 }), question);
  } catch (error) {
    const { status, code, type, param, requestID, message } = error;
    print({ raised: error.constructor.name, status, code, type, param, requestID, message });
  }
  await hangUp();
  process.stdout.write("\n");
}
