// An independent mock of OpenAI's API: https://github.com/CopilotKit/aimock
// Prints its address; ends when stdin closes.
import { LLMock } from "@copilotkit/aimock";

const weather = (city, id) => ({ name: "weather", arguments: JSON.stringify({ city, unit: "°C" }), id });

const mock = new LLMock({ host: "127.0.0.1", port: 0, chunkSize: 7 });
mock.addFixtures([
  {
    match: { userMessage: "weather", hasToolResult: true },
    response: { content: "Mild in Paris, warm in Rome: 12 °C and 19 °C." },
  },
  {
    match: { userMessage: "weather" },
    response: { content: "I'll look.", toolCalls: [weather("Paris", "call_1"), weather("Rome", "call_2")] },
  },
  { match: { userMessage: "JSON" }, response: { content: '{"answer":"yes"}' } },
  {
    match: { userMessage: "Think" },
    response: { content: "Four.", reasoning: "Two and two, " + "and so on, ".repeat(9), finishReason: "length" },
  },
  {
    match: { userMessage: "hello" },
    response: {
      content: "Hello! 你好! " + "And again. ".repeat(20),
      systemFingerprint: "fp_mock",
      usage: { prompt_tokens: 7, completion_tokens: 61 },
    },
  },
  // Cut every seven units of UTF-16: halves of letters come in two frames.
  { match: { userMessage: "Wave" }, response: { content: "👋🏽 ".repeat(7) } },
  {
    match: { userMessage: "Refuse" },
    response: { error: { message: "No such thing.", type: "invalid_request_error", code: "bad_thing" }, status: 400 },
  },
  {
    match: { userMessage: "Hurry" },
    response: { error: { message: "Slow down.", type: "rate_limit_error", code: "requests" }, status: 429, retryAfter: 60 },
  },
]);
await mock.start();
process.stdout.write(mock.url + "\n");
process.stdin.resume().on("end", () => process.exit());
