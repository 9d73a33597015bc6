// Owns the run of openai-node, unchanged, against the gateway at the URL it is given. It runs beside its node_modules.

import assert from 'node:assert/strict';
import OpenAI, { toFile } from 'openai';

const options = { apiKey: 'sk-openai-node', baseURL: `${process.argv[2]}/v1`, maxRetries: 0, timeout: 20_000 };
const client = new OpenAI(options);
const endpoint = '/v1/chat/completions';

async function check(what, run) {
  try {
    await run();
  } catch (error) {
    const text = String(error?.message ?? error).replace(/\s+/g, ' ').slice(0, 2000);
    console.log(`failed: openai-node: ${what}: ${error?.name}: ${text}`);
    process.exit(1);
  }
  console.log(`ok: openai-node: ${what}`);
}

function lines(...prompts) {
  const line = (prompt, number) => JSON.stringify({
    custom_id: `line-${number}`,
    method: 'POST',
    url: endpoint,
    body: { model: 'small', messages: [{ role: 'user', content: prompt }] },
  });
  return prompts.map((prompt, number) => `${line(prompt, number)}\n`).join('');
}

const upload = async (content) =>
  client.files.create({ file: await toFile(Buffer.from(content), 'input.jsonl'), purpose: 'batch' });
const create = (file, more = {}) =>
  client.batches.create({ input_file_id: file.id, endpoint, completion_window: '24h', ...more });
const text = async (id) => (await client.files.content(id)).text();
const refused = (status) => (error) => error instanceof OpenAI.APIError && error.status === status;

async function ended(batch, end) {
  const deadline = Date.now() + 20_000;
  for (;;) {
    const now = await client.batches.retrieve(batch.id);
    if (now.status === end) return now;
    assert.ok(Date.now() < deadline, `the batch is still ${now.status} after 20 s`);
    await new Promise((go) => setTimeout(go, 50));
  }
}

async function statuses(id) {
  const results = (await text(id)).trimEnd().split('\n').map((line) => JSON.parse(line));
  return results.map((result) => `${result.custom_id} ${result.response.status_code}`).sort();
}

async function ids(pages) {
  const found = [];
  for await (const one of pages) found.push(one.id);
  return found;
}

const content = lines('one', 'two', 'three');
let good, batch, mixed, running;

await check('upload, the file and its content', async () => {
  good = await upload(content);
  assert.deepEqual([good.object, good.purpose, good.bytes], ['file', 'batch', content.length]);
  assert.deepEqual(await client.files.retrieve(good.id), good);
  assert.equal(await text(good.id), content);
  assert.deepEqual(await ids(client.files.list({ purpose: 'batch' })), [good.id]);
});
await check('a batch whose lines all succeed', async () => {
  batch = await ended(await create(good, { metadata: { run: '7' } }), 'completed');
  assert.deepEqual(batch.metadata, { run: '7' });
  assert.deepEqual(batch.request_counts, { total: 3, completed: 3, failed: 0 });
  assert.equal(batch.error_file_id ?? null, null);
  assert.deepEqual(await statuses(batch.output_file_id), ['line-0 200', 'line-1 200', 'line-2 200']);
});
await check('cancel of a completed batch: 409 with a body that parses', async () => {
  await assert.rejects(client.batches.cancel(batch.id), (error) => {
    assert.ok(error instanceof OpenAI.ConflictError, String(error));
    assert.deepEqual([error.type, error.param, error.code], ['invalid_request_error', null, null]);
    assert.match(error.message, /completed/);
    assert.ok(error.requestID, 'there is no request id');
    return true;
  });
});
await check('a batch with one line that fails', async () => {
  mixed = await ended(await create(await upload(lines('one', '[[status=400]] two', 'three'))), 'completed');
  assert.deepEqual(mixed.request_counts, { total: 3, completed: 2, failed: 1 });
  assert.deepEqual(await statuses(mixed.output_file_id), ['line-0 200', 'line-2 200']);
  assert.deepEqual(await statuses(mixed.error_file_id), ['line-1 400']);
});
await check('cancel of a running batch', async () => {
  running = await ended(await create(await upload(lines('[[sleep=20000]] one'))), 'in_progress');
  assert.match((await client.batches.cancel(running.id)).status, /^cancell(ing|ed)$/);
  await ended(running, 'cancelled');
});
await check('list of batches, page by page', async () => {
  const made = [running.id, mixed.id, batch.id];
  assert.deepEqual(await ids(client.batches.list({ limit: 1 })), made);
  const page = await client.batches.list({ limit: 2 });
  assert.deepEqual([page.data.map((one) => one.id), page.has_more], [made.slice(0, 2), true]);
  const next = await page.getNextPage();
  assert.deepEqual([next.data.map((one) => one.id), next.has_more], [made.slice(2), false]);
});
const messages = [{ role: 'user', content: 'What is 6*7?' }];

await check('models', async () => {
  assert.deepEqual(await ids(client.models.list()), ['lote-builtin', 'lote-builtin-large']);
  assert.equal((await client.models.retrieve('lote-builtin')).object, 'model');
  await assert.rejects(client.models.retrieve('small'), refused(404));
});
await check('chat, whole and streamed', async () => {
  const whole = await client.chat.completions.create({ model: 'small', messages });
  let said = '';
  for await (const chunk of await client.chat.completions.create({ model: 'small', messages, stream: true })) {
    said += chunk.choices[0].delta.content ?? '';
  }
  assert.equal(said, whole.choices[0].message.content);
  assert.match(said, /^42 /);
  const helper = client.chat.completions.stream({ model: 'small', messages });
  assert.equal(await helper.finalContent(), said);
});
await check('responses, whole and streamed', async () => {
  const asked = { model: 'small', input: 'hello' };
  const whole = await client.responses.create(asked);
  assert.match(whole.output_text, /hello/);
  const helper = client.responses.stream(asked);
  assert.equal((await helper.finalResponse()).output_text, whole.output_text);
});
await check('embeddings', async () => {
  const asked = { model: 'small', input: ['one', 'two'], dimensions: 8 };
  const floats = await client.embeddings.create({ ...asked, encoding_format: 'float' });
  // By itself this client asks for Base64.
  const packed = await client.embeddings.create(asked);
  assert.equal(floats.data.length, 2);
  floats.data[1].embedding.forEach((one, at) => assert.ok(Math.abs(one - packed.data[1].embedding[at]) < 1e-6));
});
await check('requests that fail, and one that this client tries again', async () => {
  const ask = (content, patience = client) =>
    patience.chat.completions.create({ model: 'small', messages: [{ role: 'user', content }] });
  await assert.rejects(ask('[[status=429]] [[retry-after=7]]'), (error) => {
    assert.ok(error instanceof OpenAI.RateLimitError, String(error));
    assert.equal(error.headers.get('retry-after'), '7');
    return true;
  });
  const answer = await ask('[[fail=2:503]] 6*7', new OpenAI({ ...options, maxRetries: 2 }));
  assert.match(answer.choices[0].message.content, /^42 /);
});
await check('delete, and what is gone', async () => {
  assert.equal((await client.files.delete(good.id)).deleted, true);
  await assert.rejects(client.files.retrieve(good.id), refused(404));
  await assert.rejects(client.files.content(good.id), refused(404));
  await assert.rejects(client.files.delete(good.id), refused(404));
});
await check('a stranger sees nothing', async () => {
  const stranger = new OpenAI({ ...options, apiKey: 'sk-stranger' });
  assert.deepEqual(await ids(stranger.batches.list()), []);
  await assert.rejects(stranger.batches.retrieve(batch.id), refused(404));
  await assert.rejects(stranger.files.content(batch.output_file_id), refused(404));
});
