import { afterEach, beforeEach, expect, test } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { forgetStoresBeside, openMetadata } from '../pairs/stores-beside.ts';
import { ManualClock } from '../server/manual-clock.ts';
import { createLog } from '../../src/log/log.ts';
import { all } from '../../src/metadata/operation.ts';
import { eventsAfter } from '../../src/metadata/queries/events.ts';
import type { MetadataStore } from '../../src/metadata/store.ts';
import { requestActor } from '../../src/registry/actor.ts';
import { AccessDenials } from '../../src/audit/access-denials.ts';

let directory: string;
let metadata: MetadataStore;
let clock: ManualClock;
let denials: AccessDenials;
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'wherry-denials-'));
  metadata = await openMetadata(directory);
  clock = new ManualClock();
  const log = await createLog({ level: 'error', format: 'json' });
  denials = new AccessDenials({ metadata, clock, log });
});
afterEach(async () => {
  await metadata.close();
  forgetStoresBeside(directory);
  rmSync(directory, { recursive: true });
});

function deny(name: string, times: number): void {
  for (let time = 0; time < times; time += 1) {
    const actor = requestActor({
      who: `user ${name}`,
      identity: `user:${name}`,
      address: '10.0.0.1',
      userAgent: undefined,
      requestId: `${name}-${time}`,
    });
    denials.record({ actor, action: 'push', repo: undefined, reason: 'no access rule allows it' });
  }
}

async function written() {
  await denials.stop();
  const rows = await metadata.read(() => all(eventsAfter, { id: 0, upTo: Number.MAX_SAFE_INTEGER, limit: 1000 }));
  return rows.map(({ identity, reason, result, kind }) => ({ identity, reason, result, kind }));
}

test('each of a few denials is written down, as refused', async () => {
  deny('alice', 3);
  const event = {
    identity: 'user:alice',
    reason: 'push: no access rule allows it',
    result: 'refused',
    kind: 'access.denied',
  } as const;
  expect(await written()).toEqual([event, event, event]);
});

test('of many in a minute ten are, and how many more there were', async () => {
  deny('mallory', 500);
  deny('alice', 1);
  const rows = await written();
  expect(rows.filter(({ identity }) => identity === 'user:mallory')).toHaveLength(11);
  expect(rows.at(-1)).toMatchObject({ identity: 'user:mallory', reason: '490 more, not written down one by one' });
  expect(rows.filter(({ identity }) => identity === 'user:alice')).toHaveLength(1);
});

test('how many more there were is told of no single request', async () => {
  deny('mallory', 500);
  await denials.stop();
  const rows = await metadata.read(() => all(eventsAfter, { id: 0, upTo: Number.MAX_SAFE_INTEGER, limit: 1000 }));
  expect(rows.at(-1)).toMatchObject({ request_id: null, actor: 'user mallory 10.0.0.1' });
  expect(rows.at(0)).toMatchObject({ request_id: 'mallory-0', actor: 'user mallory 10.0.0.1 (request mallory-0)' });
});

test('in the next minute they are written down again', async () => {
  deny('mallory', 50);
  denials.tellUnwritten();
  clock.advance(60_000);
  deny('mallory', 50);
  expect(await written()).toHaveLength(2 * 11);
});

test('however many identities there are, a minute has a bounded number of events', async () => {
  for (let number = 0; number < 12_000; number += 1) deny(`bot${number}`, 1);
  const rows = await written();
  // Sixty one by one, as many counts of some each, and the count of all others.
  expect(rows.length).toBeLessThanOrEqual(60 + 60 + 1);
  const counted = rows.reduce((sum, { reason }) => sum + Number(/^(\d+) more/.exec(reason ?? '')?.[1] ?? 1), 0);
  expect(counted).toBe(12_000);
  // What is of many is nobody's.
  const ofMany = rows.filter(({ reason }) => reason?.includes('of several clients'));
  expect(ofMany.map(({ identity }) => identity)).toEqual(['system:denials']);
});
