// Asks Millstream and prints the answer while it comes. Node 18 or newer, nothing to install.
const url = process.env.MILLSTREAM_URL ?? 'http://localhost:8000';
const response = await fetch(`${url}/chat`, {
  method: 'POST',
  headers: {
    'Accept': 'application/x-ndjson',
    'Authorization': `Bearer ${process.env.MILLSTREAM_KEY ?? 'none'}`,
    'Content-Type': 'application/json',
    'Idempotency-Key': crypto.randomUUID(),
  },
  body: JSON.stringify({prompt: process.argv.slice(2).join(' ') || 'Name three rivers.'}),
});
if (!response.ok) throw new Error((await response.json()).error.message);
let rest = '';
for await (const piece of response.body.pipeThrough(new TextDecoderStream())) {
  const lines = (rest + piece).split('\n');
  rest = lines.pop();
  for (const line of lines.filter(Boolean)) {
    const event = JSON.parse(line);
    if (event.type === 'message') process.stdout.write(event.text);
    if (event.type === 'failed') throw new Error(event.error.message);
    if (event.type === 'done') process.stdout.write('\n');
  }
}
