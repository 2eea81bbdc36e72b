import { afterEach, beforeEach, expect, test } from 'bun:test';
import { mkdtemp, rename, rm, unlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { lockPathOf } from '../../src/audit/audit-file-lock.ts';
import { change } from '../../src/metadata/operation.ts';
import { deleteOldEvents } from '../../src/metadata/queries/events.ts';
import { forgetStoresBeside } from '../pairs/stores-beside.ts';
import { AuditParts, lines, linesOf } from './audit-parts.ts';

let directory: string;
let parts: AuditParts;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'wherry-audits-'));
  parts = await AuditParts.open(directory);
});
afterEach(async () => {
  await parts[Symbol.asyncDispose]();
  forgetStoresBeside(directory);
  await rm(directory, { recursive: true });
});

async function reasonsIn(name: string): Promise<(string | undefined)[]> {
  return (await linesOf(parts.path(name))).map(({ reason }) => reason);
}

async function happens(...reasons: string[]): Promise<void> {
  for (const reason of reasons) await parts.happen(reason);
}

test('of two servers with a file each, both files have every event once, also after one was stopped', async () => {
  const one = await parts.turn('one.jsonl');
  const two = await parts.turn('two.jsonl');
  await happens('a', 'b');
  await one.stop();
  two.start();
  await happens('c', 'd');
  await lines(parts.path('two.jsonl'), 4);
  const again = await parts.turn('one.jsonl');
  await happens('e');
  await again.stop();
  await two.stop();
  expect(await reasonsIn('one.jsonl')).toEqual(['a', 'b', 'c', 'd', 'e']);
  expect(await reasonsIn('two.jsonl')).toEqual(['a', 'b', 'c', 'd', 'e']);
});

test('a file that was moved away before its server was stopped lacks nothing of what others have written meanwhile', async () => {
  const one = await parts.turn('one.jsonl');
  const two = await parts.turn('two.jsonl');
  await happens('a');
  await one.stop();
  await rename(parts.path('one.jsonl'), parts.path('one.jsonl.1'));
  await happens('b');
  await two.stop();
  const again = await parts.turn('one.jsonl');
  await again.stop();
  expect(await reasonsIn('one.jsonl')).toEqual(['b']);
});

test('a file whose lock was taken away, or that has none yet, goes on after its own last line', async () => {
  const one = await parts.turn('one.jsonl');
  const two = await parts.turn('two.jsonl');
  await happens('a');
  await one.stop();
  await unlink(lockPathOf(parts.path('one.jsonl')));
  await happens('b');
  await two.stop();
  const again = await parts.turn('one.jsonl');
  await again.stop();
  expect(await reasonsIn('one.jsonl')).toEqual(['a', 'b']);
});

test('a new file beside others begins where they have come to', async () => {
  const one = await parts.turn('one.jsonl');
  await happens('a');
  await one.stop();
  await happens('b');
  const two = await parts.turn('two.jsonl');
  await happens('c');
  await two.stop();
  expect(await reasonsIn('two.jsonl')).toEqual(['b', 'c']);
});

test('a file that was not written for so long that the next events are gone goes on with the oldest that is there', async () => {
  const one = await parts.turn('one.jsonl');
  await happens('a');
  await one.stop();
  await happens('b', 'c');
  await parts.metadata.write(() => change(deleteOldEvents, { before: 1, limit: 2 }));
  const two = await parts.turn('two.jsonl');
  await happens('d');
  await two.stop();
  const again = await parts.turn('one.jsonl');
  await again.stop();
  expect(await reasonsIn('one.jsonl')).toEqual(['a', 'c', 'd']);
});

test('a file that two servers name is written by one; the other says that it waits, and goes on once that has ended', async () => {
  const one = await parts.turn();
  one.start();
  const two = await parts.turn();
  two.start();
  expect(parts.logged.filter((text) => text.includes('another process writes this audit file'))).toHaveLength(1);
  await happens('a', 'b');
  expect((await lines(parts.path('audit.jsonl'), 2)).map(({ reason }) => reason)).toEqual(['a', 'b']);
  await one.stop();
  await happens('c');
  expect((await lines(parts.path('audit.jsonl'), 3)).map(({ reason }) => reason)).toEqual(['a', 'b', 'c']);
  while (!parts.logged.some((text) => text.includes('this process writes the audit file from here on'))) {
    await sleep(5);
  }
  await two.stop();
  expect(await reasonsIn('audit.jsonl')).toEqual(['a', 'b', 'c']);
});

test('where all that name a file are stopped at once, it has all that has happened', async () => {
  const one = await parts.turn();
  const two = await parts.turn();
  await happens('a');
  await one.stop();
  await happens('b');
  await two.stop();
  expect(await reasonsIn('audit.jsonl')).toEqual(['a', 'b']);
});
