import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { ServedRegistry } from '../http/served-registry.ts';

const durations = ['999999999999d', `${'9'.repeat(400)}ms`, '-1d', '1e309d', '1e309', 'NaN', 'Infinity'];
const numbers = ['-1', '1e309', '-1e309', 'NaN', 'Infinity', '9007199254740992', '9'.repeat(400), '1.5'];
/** As JSON writes a number. */
const jsonNumbers = numbers.filter((text) => /^[-\d.e]+$/.test(text));

let registry: ServedRegistry;
let headers: Record<string, string>;

beforeAll(async () => {
  registry = await ServedRegistry.start();
  headers = { authorization: `Bearer ${readFileSync(join(registry.dataDirectory, 'admin.token'), 'utf8').trim()}` };
});
afterAll(async () => await registry[Symbol.asyncDispose]());

async function expectRefused(path: string, name: string, body?: string): Promise<void> {
  const method = body === undefined ? 'GET' : 'POST';
  const answer = await registry.send(`/admin/v1${path}`, { method, headers, ...(body !== undefined && { body }) });
  const text = await answer.text();
  expect([path, body, answer.status]).toEqual([path, body, 400]);
  expect(text).toStartWith('{"errors":');
  expect(text).toContain(name);
}

test.each(durations)('a duration of %s is refused with 400 wherever the admin API takes one', async (duration) => {
  await expectRefused(`/retention/upcoming?within=${encodeURIComponent(duration)}`, 'within');
  await expectRefused('/robots', 'expires', JSON.stringify({ name: 'ci', expires: duration }));
  const simulation = await registry.admin('POST', '/retention/simulate', { since: duration, policies: [] });
  expect(await simulation.text()).toContain('since: it takes a length of time');
});

test.each(numbers)('a number of %s is refused with 400 wherever the admin API takes one in a query', async (number) => {
  const text = encodeURIComponent(number);
  for (const path of ['/events', '/pins', '/trash', '/robots', '/quotas'])
    await expectRefused(`${path}?n=${text}`, 'n');
  await expectRefused(`/events/follow?after=${text}`, 'after');
});

test.each(jsonNumbers)(
  'a number of %s is refused with 400 wherever the admin API takes one in a body',
  async (number) => {
    await expectRefused('/find', 'maxLayerBytes', `{"patterns":["x"],"maxLayerBytes":${number}}`);
    await expectRefused('/fsck', 'bytesPerSecond', `{"rehash":{"bytesPerSecond":${number}}}`);
  },
);
