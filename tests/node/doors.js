// The makers' packages for Node at our doors: `node doors.js URL` asks through each, and prints what came of it.
import Anthropic from "@anthropic-ai/sdk";
import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import { DefaultChatTransport, isStepCount, readUIMessageStream, streamText, tool } from "ai";
import { Ollama } from "ollama";
import OpenAI from "openai";
import { z } from "zod";

const [url] = process.argv.slice(2);
const print = (name, value) => process.stdout.write(JSON.stringify({ name, value }) + "\n");
const hi = [{ role: "user", content: "Hi" }];
const schema = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };

const anthropic = new Anthropic({ baseURL: url, apiKey: "x", maxRetries: 0 });
const tools = [{ name: "weather", input_schema: schema }];
const message = await anthropic.messages.stream({ model: "thinks", max_tokens: 99, messages: hi, tools }).finalMessage();
print("anthropic", [message.stop_reason, message.content.map((block) => block.input ?? block.thinking)]);

const openai = new OpenAI({ baseURL: `${url}/v1`, apiKey: "x", maxRetries: 0 });
print("openai", (await openai.responses.stream({ model: "thinks", input: "Hi" }).finalResponse()).output_text);
let id;
const seen = [];
for await (const event of await openai.responses.create({ model: "slow", input: "Hi", background: true, stream: true })) {
  id ??= event.response.id;
  seen.push(event);
  if (seen.length === 6) break;
}
for await (const event of await openai.responses.retrieve(id, { stream: true, starting_after: 5 })) seen.push(event);
print("resumed", [seen.map((event) => event.sequence_number), seen.at(-1).response.output[0].content[0].text]);
const helper = [];
for await (const event of openai.responses.stream({ response_id: id, starting_after: 5 })) helper.push(event.sequence_number);
print("helper", helper[0]);

let text = "";
for await (const part of await new Ollama({ host: url }).chat({ model: "plain", messages: hi, stream: true }))
  text += part.message.content;
print("ollama", text);

const weather = tool({ inputSchema: z.object({ city: z.string() }), execute: async ({ city }) => `22 in ${city}` });
const models = {
  "ai openai": createOpenAI({ baseURL: `${url}/v1`, apiKey: "x" })("thinks"),
  "ai anthropic": createAnthropic({ baseURL: `${url}/v1`, apiKey: "x" })("thinks"),
};
for (const [name, model] of Object.entries(models)) {
  const errors = [];
  const onError = ({ error }) => errors.push(String(error));
  const asked = { model, prompt: "Hi", tools: { weather }, stopWhen: isStepCount(3), maxOutputTokens: 99, maxRetries: 0, onError };
  const run = streamText(asked);
  print(name, [await run.text, (await run.steps).length, (await run.totalUsage).inputTokens, errors]);
}

const chat = { chatId: "chat 1", trigger: "submit-message", messages: [{ id: "u", role: "user", parts: [{ type: "text", text: "Hi" }] }] };
const transport = new DefaultChatTransport({ api: `${url}/ui/chat`, body: { model: "slow" } });
const leaving = new AbortController();
let partial, whole;
try {
  let count = 0;
  for await (partial of readUIMessageStream({ stream: await transport.sendMessages({ ...chat, abortSignal: leaving.signal }) }))
    if (++count === 4) leaving.abort();
} catch {
  // it left
}
for await (whole of readUIMessageStream({ stream: await transport.reconnectToStream(chat) }));
const said = (message) => message.parts.find((part) => part.type === "text").text;
print("ui", [said(whole), said(whole).startsWith(said(partial)) && said(whole) !== said(partial), whole.id === partial.id]);
print("ui over", await transport.reconnectToStream(chat));
