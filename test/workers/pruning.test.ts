import { Database } from 'bun:sqlite';
import { expect, test } from 'bun:test';
import { join } from 'node:path';
import { z } from 'zod';
import { parsePolicySet } from '../../src/retention/policy-set.ts';
import { digestOf, imageOf, ociManifest } from '../http/content.ts';
import { until } from '../server/until.ts';
import { WorkersInProcess } from './workers-in-process.ts';

const parsed = parsePolicySet([
  {
    repositories: '**',
    default: 'prune',
    rules: [{ action: 'keep', mostRecentlyPushedCount: 1 }],
    rails: { tagsPerDay: '100%', bytesPerDay: '100%', grace: '0' },
  },
]);
const policies = parsed.ok ? parsed.set : undefined;

async function push(workers: WorkersInProcess, index: number, tag: string): Promise<void> {
  const config = new TextEncoder().encode(`{"of":"${tag}"}`);
  const upload = { method: 'POST', body: config };
  expect((await workers.send(index, `/v2/app/blobs/uploads/?digest=${digestOf(config)}`, upload)).status).toBe(201);
  const put = await workers.send(index, `/v2/app/manifests/${tag}`, {
    method: 'PUT',
    headers: { 'content-type': ociManifest },
    body: JSON.stringify(imageOf(config, config)),
  });
  expect(put.status).toBe(201);
}

test('the collector paused by way of any worker holds pruning, and the metrics of all say so', async () => {
  await using workers = await WorkersInProcess.start(2, { 'retention.delay': '1ms' }, policies && { policies });
  const rows = (sql: string): readonly unknown[] => {
    using database = new Database(join(workers.directory, 'wherry.db'), { readonly: true });
    return database.query(sql).all();
  };
  const tags = (): readonly string[] =>
    z
      .array(z.object({ name: z.string() }))
      .parse(rows('select name from tag order by name'))
      .map(({ name }) => name);
  const headers = { authorization: `Bearer ${workers.operatorToken}` };
  const ask = async (what: string, body?: object): Promise<void> => {
    const init = { method: 'POST', headers, ...(body && { body: JSON.stringify(body) }) };
    expect((await workers.send(1, `/admin/v1/collector/${what}`, init)).status).toBe(200);
  };
  const isPaused = async (index: number): Promise<boolean> =>
    (await (await workers.send(index, '/metrics')).text()).includes('\nwherry_collector_paused 1\n');

  await until('it may prune', () => rows('select 1 from policy_approval where queued_at is not null').length > 0);
  await ask('pause', { reason: 'incident' });
  expect([await isPaused(0), await isPaused(1)]).toEqual([true, true]);
  // A repository at which nobody has looked before: one is left alone for long where the look at it has taken long.
  for (const tag of ['1', '2']) await push(workers, 1, tag);
  const due = () => rows(`select 1 from retention_review where due_at < ${Date.now() - 2000}`);
  await until('it has long been due', () => due().length > 0);
  expect(tags()).toEqual(['1', '2']);
  await ask('resume');
  expect([await isPaused(0), await isPaused(1)]).toEqual([false, false]);
  await until('it goes on', () => tags().length === 1);
}, 60_000);
