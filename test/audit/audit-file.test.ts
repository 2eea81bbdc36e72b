import { afterEach, beforeEach, expect, test } from 'bun:test';
import { appendFile, chmod, mkdtemp, readFile, rename, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { AuditFile, type AuditFileCalls, type AuditFileParts } from '../../src/audit/audit-file.ts';
import { EventFeed } from '../../src/audit/event-feed.ts';
import { createLog } from '../../src/log/log.ts';
import { SqliteMetadataStore } from '../../src/metadata/sqlite/store.ts';
import { anyClient } from '../../src/registry/actor.ts';
import { recordEvent } from '../../src/registry/events.ts';
import { pushImage } from '../admin/pushed-images.ts';
import { ServedRegistry } from '../http/served-registry.ts';

const line = z.object({ id: z.number(), kind: z.string(), reason: z.string().optional() });

let directory: string;
let file: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'wherry-audit-'));
  file = join(directory, 'audit.jsonl');
});
afterEach(async () => await rm(directory, { recursive: true }));

async function linesOf(path: string) {
  const text = await readFile(path, 'utf8').catch(() => '');
  return text
    .split('\n')
    .filter((part) => part !== '')
    .map((part) => line.parse(JSON.parse(part)));
}

/** The file's lines once there are so many; they come after what they tell of. */
async function lines(path: string, count: number) {
  for (;;) {
    const found = await linesOf(path);
    if (found.length >= count) return found;
    await sleep(20);
  }
}

test('every event is a line of the file, in order, and none is missing over a restart', async () => {
  const settings = { 'audit.file': file };
  await using registry = await ServedRegistry.start(settings);
  await pushImage(registry, 'team/app', { tags: ['x'] });
  await lines(file, 4);
  expect((await stat(file)).mode & 0o777).toBe(0o640);
  // What happens while there is no file is caught up with.
  await registry.stop();
  await registry.resume();
  await pushImage(registry, 'team/app', { tags: ['y'] });
  await registry.stop();
  await registry.resume(settings);
  await pushImage(registry, 'team/app', { tags: ['z'] });
  await registry.stop();
  const ids = registry.rows<{ id: number }>('select id from event order by id').map(({ id }) => id);
  expect((await linesOf(file)).map(({ id }) => id)).toEqual(ids);
});

test('a registry that gets a file begins with what happens from then on', async () => {
  await using registry = await ServedRegistry.start();
  await pushImage(registry, 'team/app', { tags: ['x'] });
  await registry.stop();
  await registry.resume({ 'audit.file': file });
  await pushImage(registry, 'team/app', { tags: ['y'] });
  await registry.stop();
  expect(await linesOf(file)).toHaveLength(4);
});

test.each(['moved away', 'moved away, and the server told so'])('a file that was %s is made anew', async (how) => {
  await using registry = await ServedRegistry.start({ 'audit.file': file });
  await pushImage(registry, 'team/app', { tags: ['x'] });
  await lines(file, 4);
  await rename(file, `${file}.1`);
  if (how.endsWith('so')) registry.reopenFiles();
  await pushImage(registry, 'team/app', { tags: ['y'] });
  await registry.stop();
  expect(await linesOf(`${file}.1`)).toHaveLength(4);
  expect(await linesOf(file)).toHaveLength(4);
});

test('a file that cannot be made keeps the server from starting, with what to do', async () => {
  const path = join(directory, 'nowhere', 'audit.jsonl');
  const failure = await ServedRegistry.start({ 'audit.file': path }).catch(String);
  expect(failure).toContain(`cannot write the audit file ${path} (ENOENT`);
});

test('a full disk holds up nothing: once there is room the file has all lines, each of them whole', async () => {
  await using parts = await Parts.open();
  let isFull = true;
  const calls: AuditFileCalls = {
    async write(handle, bytes) {
      // A disk that gets full takes the beginning.
      await handle.write(isFull ? bytes.subarray(0, 10) : bytes);
      if (isFull) throw new Error('ENOSPC: no space left on device');
    },
  };
  const audit = await parts.file({ calls, retryMs: { first: 10, most: 20 } });
  audit.start();
  await parts.happen('one');
  await parts.happen('two');
  while (!parts.logged.some((text) => text.includes('the audit file cannot be written'))) await sleep(5);
  isFull = false;
  await lines(file, 2);
  await audit.stop();
  expect((await linesOf(file)).map(({ reason }) => reason)).toEqual(['one', 'two']);
  expect(parts.logged.filter((text) => text.includes('cannot be written'))).toHaveLength(1);
  expect(parts.logged.some((text) => text.includes('is written again'))).toBe(true);
});

test('half a line that a crash has left spoils no other', async () => {
  await using parts = await Parts.open();
  await appendFile(file, '{"id":1,"kind":"tag.pu');
  await chmod(file, 0o600);
  const audit = await parts.file();
  await parts.happen('after');
  await audit.stop();
  const text = await readFile(file, 'utf8');
  const [half, whole] = text.split('\n');
  expect(half).toBe('{"id":1,"kind":"tag.pu');
  expect(line.parse(JSON.parse(whole ?? '')).reason).toBe('after');
  // The rights of a file that was there are its owner's business.
  expect((await stat(file)).mode & 0o777).toBe(0o600);
});

/** What an audit file needs of a server. */
class Parts implements AsyncDisposable {
  readonly metadata: SqliteMetadataStore;
  readonly feed: EventFeed;
  readonly logged: string[] = [];
  readonly log;

  private constructor(metadata: SqliteMetadataStore, log: Awaited<ReturnType<typeof createLog>>, logged: string[]) {
    this.metadata = metadata;
    this.feed = new EventFeed(metadata);
    this.log = log;
    this.logged = logged;
    metadata.watch(() => this.feed.notice());
  }

  static async open(): Promise<Parts> {
    const logged: string[] = [];
    const stream = { write: (text: string) => void logged.push(text) };
    const log = await createLog({ level: 'info', format: 'json', stream });
    return new Parts(SqliteMetadataStore.open(directory), log, logged);
  }

  async file(others: Partial<AuditFileParts> = {}): Promise<AuditFile> {
    const { metadata, feed, log } = this;
    return await AuditFile.open({ metadata, feed, log, path: file, ...others });
  }

  async happen(reason: string): Promise<void> {
    await this.metadata.write(() => recordEvent({ at: 0, kind: 'collector.paused', actor: anyClient, reason }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.metadata.close();
  }
}
