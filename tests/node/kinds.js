// The makers' packages for Node over each kind of upstream: `node kinds.js URL MODEL` calls a tool, shows a picture.
import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import * as ai from "ai";
import * as ai6 from "ai-6";
import { createAnthropic as createAnthropic6 } from "ai-6-anthropic";
import { createOpenAI as createOpenAI6 } from "ai-6-openai";
import OpenAI from "openai";
import { z } from "zod";

const [url, model, png] = process.argv.slice(2);
const at = { baseURL: `${url}/v1`, apiKey: "x" };
const ways = {
  async openai() {
    const client = new OpenAI({ ...at, maxRetries: 0 });
    const parameters = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
    const called = { name: "weather", parameters, parse: JSON.parse, function: ({ city }) => `22 in ${city}` };
    const asked = { model, stream: true, messages: [{ role: "user", content: "Hi" }], tools: [{ type: "function", function: called }] };
    const said = await client.chat.completions.runTools(asked).finalContent();
    const content = [{ type: "image_url", image_url: { url: `data:image/png;base64,${png}` } }];
    const asking = client.chat.completions.create({ model, messages: [{ role: "user", content }] });
    return [said, await asking.then((seen) => seen.choices[0].message.content, String)];
  },
  compatible: () => run(ai, createOpenAICompatible({ ...at, name: "ours" })(model)),
  "ai 7, openai": () => run(ai, createOpenAI(at)(model)),
  "ai 7, anthropic": () => run(ai, createAnthropic(at)(model)),
  "ai 6, openai": () => run(ai6, createOpenAI6(at)(model)),
  "ai 6, anthropic": () => run(ai6, createAnthropic6(at)(model)),
};

async function run(ai, model) {
  const weather = ai.tool({ inputSchema: z.object({ city: z.string() }), execute: async ({ city }) => `22 in ${city}` });
  const errors = [];
  const rest = { model, maxRetries: 0, maxOutputTokens: 99, onError: ({ error }) => errors.push(error) };
  const ran = ai.streamText({ ...rest, prompt: "Hi", tools: { weather }, stopWhen: (ai.isStepCount ?? ai.stepCountIs)(3) });
  const said = await ran.text;
  const content = [{ type: "file", mediaType: "image/png", data: Buffer.from(png, "base64") }];
  const seen = await ai.streamText({ ...rest, messages: [{ role: "user", content }] }).text.catch((error) => errors.push(error));
  return [said, errors.length ? String(errors[0]) : seen];
}

for (const [name, way] of Object.entries(ways)) {
  const value = await way().catch((error) => [String(error), ""]);
  process.stdout.write(JSON.stringify({ name, value }) + "\n");
}
