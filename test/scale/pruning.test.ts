import { afterEach, beforeEach, expect, test } from 'bun:test';
import { join } from 'node:path';
import { parseTagName } from '../../src/oci/names.ts';
import { anyClient } from '../../src/registry/actor.ts';
import type { PolicyDefinition } from '../../src/retention/definition.ts';
import { type PolicySet, parsePolicySet } from '../../src/retention/policy-set.ts';
import { type RunningServer, startServer } from '../../src/server/server.ts';
import { digestOf, imageOf, ociManifest } from '../http/content.ts';
import { PostgresTables, type Tables } from '../pairs/tables.ts';
import { configFrom } from '../server/config-from.ts';
import { ManualClock } from '../server/manual-clock.ts';
import { logOfErrors } from '../server/quiet-server.ts';
import { TemporaryDirectory } from '../server/temporary-directory.ts';
import { until } from '../server/until.ts';
import { startPostgres } from './postgres-server.ts';
import { StorageServers } from './storage-servers.ts';

const storage = new StorageServers({ postgres: startPostgres });
const hourMs = 3_600_000;

let directory: TemporaryDirectory;
let metadata: string;
let tables: Tables;
let clock: ManualClock;
const running = new Set<RunningServer>();

beforeEach(async () => {
  directory = new TemporaryDirectory('pruning');
  metadata = await storage.postgres.newDatabase();
  tables = PostgresTables.at(metadata);
  clock = new ManualClock();
});

afterEach(async () => {
  for (const server of running) await stop(server);
  directory[Symbol.dispose]();
});

/** One of several processes of a registry, which prunes and collects when the test says so. */
async function serve(...policies: readonly PolicyDefinition[]): Promise<RunningServer> {
  const server = await startServer({
    config: await configFrom({
      data: directory.path,
      metadata,
      listen: '127.0.0.1:0',
      'retention.delay': '1s',
      'retention.clockPause': '30d',
    }),
    log: await logOfErrors(),
    policies: policies.length === 0 ? undefined : setOf(policies),
    clock,
  });
  running.add(server);
  server.collector.pause();
  await server.collector.workOff(0);
  return server;
}

async function stop(server: RunningServer): Promise<void> {
  running.delete(server);
  await server.stop();
}

function setOf(policies: readonly PolicyDefinition[]): PolicySet {
  const parsed = parsePolicySet(policies);
  if (!parsed.ok) throw new Error(parsed.problems.join('\n'));
  return parsed.set;
}

/** Of ten tags it would let nine go, and its rails one a day. */
const newest: PolicyDefinition = {
  name: 'newest',
  repositories: '**',
  default: 'prune',
  rules: [{ action: 'keep', mostRecentlyPushedCount: 1 }],
  rails: { tagsPerDay: '10%', bytesPerDay: '100%', grace: '0' },
};

const unrailed: PolicyDefinition = { ...newest, rails: { tagsPerDay: '100%', bytesPerDay: '100%', grace: '0' } };

async function push(server: RunningServer, tag: string, repo = 'app'): Promise<void> {
  const config = new TextEncoder().encode(`{"of":"${tag}"}`);
  const upload = new URL(`/v2/${repo}/blobs/uploads/?digest=${digestOf(config)}`, server.url);
  expect((await fetch(upload, { method: 'POST', body: config })).status).toBe(201);
  const put = await fetch(new URL(`/v2/${repo}/manifests/${parseTagName(tag)}`, server.url), {
    method: 'PUT',
    headers: { 'content-type': ociManifest },
    body: JSON.stringify(imageOf(config, config)),
  });
  expect(put.status).toBe(201);
  clock.advance(1000);
}

async function stateOf(server: RunningServer): Promise<string | undefined> {
  return (await server.pruner?.standing())?.[0]?.state.state;
}

/** Has a process do all that is due; how many tags went. */
async function prunedBy(server: RunningServer): Promise<number | undefined> {
  return (await server.pruner?.workOff())?.tags;
}

const tags = () => tables.rows<{ name: string }>('select name from tag order by name').map(({ name }) => name);
const queuedAt = () =>
  tables.rows<{ queued_at: number | null }>('select queued_at from policy_approval').map((row) => row.queued_at);

/** Two processes whose policy waits for approval, with ten tags. */
async function waiting(): Promise<readonly [RunningServer, RunningServer]> {
  const before = await serve();
  for (let number = 0; number < 10; number++) await push(before, `v${number}`);
  await stop(before);
  const [one, two] = [await serve(newest), await serve(newest)];
  for (const server of [one, two]) {
    await until('it is known what the policy would do', async () => (await stateOf(server)) === 'waiting');
  }
  return [one, two];
}

test('a policy approved of in one process prunes in the others, and the rails of a day are those of all together', async () => {
  const [one, two] = await waiting();
  // What is due is looked at by one that waits.
  await push(two, 'v9');
  expect(await prunedBy(two)).toBe(0);
  expect(await one.pruner?.approve(undefined, anyClient)).toHaveLength(1);
  expect([await prunedBy(two), await prunedBy(one)]).toEqual([1, 0]);
  expect(await stateOf(two)).toBe('approved');
  clock.advance(25 * hourMs);
  const [ofOne = 0, ofTwo = 0] = await Promise.all([prunedBy(one), prunedBy(two)]);
  expect(ofOne + ofTwo).toBe(1);
  expect(await two.pruner?.approve(undefined, anyClient)).toEqual([]);
  const events = tables.rows<{ n: number }>(`select count(*) as n from event where kind = 'retention.approved'`);
  expect(events).toEqual([{ n: 1 }]);
}, 30_000);

test('what a process that waits puts away is found once another one has approved, and a restart of all loses none of it', async () => {
  const [one, two] = await waiting();
  await one.pruner?.approve(undefined, anyClient);
  // It has died before all were in the queue.
  tables.change('update policy_approval set queued_at = null');
  tables.change('delete from retention_review');
  await stop(one);
  await stop(two);
  const again = await serve(newest);
  await until('all are queued again', () => queuedAt()[0] !== null);
  expect(await prunedBy(again)).toBe(1);
}, 30_000);

test('repositories are queued by another process where the one that approved has died meanwhile', async () => {
  const [one, two] = await waiting();
  await one.pruner?.approve(undefined, anyClient);
  tables.change('update policy_approval set queued_at = null');
  tables.change('delete from retention_review');
  await stop(one);
  clock.advance(11 * 60_000);
  two.pruner?.wake();
  await until('all are queued again', () => queuedAt()[0] !== null);
  expect(await prunedBy(two)).toBe(1);
}, 30_000);

test('while a process has other policies, or none, approvals stay, and what changes in it is looked at once it is gone', async () => {
  const one = await serve(unrailed);
  await until('it may prune', () => queuedAt()[0] !== null && queuedAt().length === 1);
  for (const others of [[], [{ ...newest, repositories: 'elsewhere/**' }]]) {
    const two = await serve(...others);
    await until('it has looked', () => queuedAt()[0] === null);
    const before = tags().length;
    await push(two, `${before}a`);
    await push(two, `${before}b`);
    // Where that one has others, it takes up what is due, and is not to take it away for good.
    const due = `values ('app', 0) on conflict (repo) do update set due_at = 0`;
    tables.change(`insert into retention_review (repo, due_at) ${due}`);
    clock.advance(1000);
    await prunedBy(two);
    expect(tags()).toContain(`${before}a`);
    const left = tables.rows<{ due_at: number | null }>('select due_at from retention_review');
    expect(left).toEqual([{ due_at: others.length === 0 ? 0 : clock.now() + 600_000 }]);
    await stop(two);
    clock.advance(11 * 60_000);
    one.pruner?.wake();
    await until('all are queued again', () => queuedAt()[0] !== null);
    expect(await prunedBy(one)).toBeGreaterThan(0);
    expect(tags()).toEqual([`${before}b`]);
  }
}, 30_000);

test('a policy that no process has any more is new when it comes back', async () => {
  const one = await serve(unrailed);
  await until('it may prune', () => queuedAt().length === 1);
  const two = await serve();
  expect(queuedAt()).toHaveLength(1);
  await stop(one);
  await stop(two);
  await serve();
  expect(queuedAt()).toEqual([]);
});

test('a clock that is set pauses pruning in all processes, and whoever says that it is right says so to all', async () => {
  const [one, two] = await waiting();
  await one.pruner?.approve(undefined, anyClient);
  clock.set(2 * 24 * hourMs);
  // One of them notices.
  expect(await prunedBy(one)).toBe(0);
  expect(await prunedBy(two)).toBe(0);
  expect([await one.pruner?.pause(), await two.pruner?.pause()]).not.toContain(undefined);
  expect(await two.pruner?.resume(anyClient)).toBe(true);
  expect([await one.pruner?.pause(), await two.pruner?.pause()]).toEqual([undefined, undefined]);
  expect(await prunedBy(one)).toBe(1);
  expect(await one.pruner?.resume(anyClient)).toBe(false);
  const events = tables.rows<{ n: number }>(`select count(*) as n from event where kind = 'retention.resumed'`);
  expect(events).toEqual([{ n: 1 }]);
}, 30_000);

test('a pause that one process has begun holds one that starts then, and ends in it by time', async () => {
  const [one, two] = await waiting();
  await one.pruner?.approve(undefined, anyClient);
  clock.set(2 * 24 * hourMs);
  expect(await prunedBy(one)).toBe(0);
  await stop(one);
  await stop(two);
  const later = await serve(newest);
  expect(await prunedBy(later)).toBe(0);
  expect(await later.pruner?.pause()).not.toBe(undefined);
  clock.advance(31 * 24 * hourMs);
  expect(await prunedBy(later)).toBe(1);
}, 30_000);

/** What is measured of a process under a name. */
async function measured(server: RunningServer, name: string): Promise<string | undefined> {
  const text = await (await fetch(new URL('/metrics', server.url))).text();
  return text
    .split('\n')
    .find((line) => line.startsWith(`${name} `))
    ?.slice(name.length + 1);
}

test('the collector paused by one process holds pruning in the others, whose metrics say so', async () => {
  const quick = { data: directory.path, metadata, listen: '127.0.0.1:0', 'retention.delay': '1ms' };
  const start = async (): Promise<RunningServer> => {
    const parts = { config: await configFrom(quick), log: await logOfErrors(), policies: setOf([unrailed]) };
    const server = await startServer(parts);
    running.add(server);
    return server;
  };
  const [one, two] = [await start(), await start()];
  await until('it may prune', () => queuedAt()[0] !== null && queuedAt().length === 1);
  // The token is that of the one that has started last.
  const authorization = `Bearer ${(await Bun.file(join(directory.path, 'admin.token')).text()).trim()}`;
  const ask = async (what: string): Promise<void> => {
    const url = new URL(`/admin/v1/collector/${what}`, two.url);
    const body = JSON.stringify(what === 'pause' ? { reason: 'incident' } : {});
    const init = { method: 'POST', headers: { authorization }, ...(what === 'pause' && { body }) };
    expect((await fetch(url, init)).status).toBe(200);
  };
  await ask('pause');
  for (const server of [one, two]) expect(await measured(server, 'wherry_collector_paused')).toBe('1');
  // A repository at which nobody has looked before: one is left alone for long where the look at it has taken long.
  for (const tag of ['1', '2']) await push(one, tag);
  const dueAt = () =>
    tables.rows<{ due_at: number | null }>('select due_at from retention_review')[0]?.due_at ?? Infinity;
  await until('it has long been due', () => dueAt() < Date.now() - 2000);
  expect(tags()).toEqual(['1', '2']);
  await ask('resume');
  for (const server of [one, two]) expect(await measured(server, 'wherry_collector_paused')).toBe('0');
  await until('it goes on', () => tags().length === 1);
});
