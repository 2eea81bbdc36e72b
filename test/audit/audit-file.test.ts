import { afterEach, beforeEach, expect, test } from 'bun:test';
import { appendFile, chmod, type FileHandle, mkdtemp, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pushImage } from '../admin/pushed-images.ts';
import { ServedRegistry } from '../http/served-registry.ts';
import { forgetStoresBeside } from '../pairs/stores-beside.ts';
import { AuditParts, line, lines, linesOf } from './audit-parts.ts';

let directory: string;
let file: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'wherry-audit-'));
  file = join(directory, 'audit.jsonl');
});
afterEach(async () => {
  forgetStoresBeside(directory);
  await rm(directory, { recursive: true });
});

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
  await using parts = await AuditParts.open(directory);
  let isFull = true;
  const calls = {
    async write(handle: FileHandle, bytes: Uint8Array) {
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

test('wherever a crash cuts what is being written, the next start goes on with it: every event once, every line whole', async () => {
  await using parts = await AuditParts.open(directory);
  const begun = await parts.file();
  await parts.happen('before');
  await begun.stop();
  const before = await readFile(file);
  const mark = await parts.mark();
  for (const reason of ['öne', 'two', 'three']) await parts.happen(reason);
  // What would be written, as a process writes that is killed before it has remembered that.
  const whole = await parts.file();
  await whole.stop();
  const after = await readFile(file);
  for (let bytes = before.byteLength; bytes <= after.byteLength; bytes++) {
    await writeFile(file, after.subarray(0, bytes));
    await parts.remember(mark);
    const next = await parts.file();
    await next.stop();
    expect(await readFile(file, 'utf8')).toBe(after.toString());
  }
});

test('a line that looks like one of ours, but is of another registry, has no event left out', async () => {
  await using parts = await AuditParts.open(directory);
  await parts.happen('before there was a file');
  const audit = await parts.file();
  await parts.happen('one');
  await parts.happen('two');
  await audit.stop();
  await parts.remember(1);
  const foreign = (await readFile(file, 'utf8')).split('\n')[1]?.replace('two', 'other') ?? '';
  await writeFile(file, `${foreign}\n`);
  const next = await parts.file();
  await next.stop();
  expect((await linesOf(file)).map(({ reason }) => reason)).toEqual(['other', 'one', 'two']);
});

test('what a file ends with that is not ours is ended, not taken away, and its rights stay', async () => {
  await using parts = await AuditParts.open(directory);
  await appendFile(file, 'somebody has written this');
  await chmod(file, 0o600);
  const audit = await parts.file();
  await parts.happen('after');
  await audit.stop();
  const [theirs, ours] = (await readFile(file, 'utf8')).split('\n');
  expect(theirs).toBe('somebody has written this');
  expect(line.parse(JSON.parse(ours ?? '')).reason).toBe('after');
  expect((await stat(file)).mode & 0o777).toBe(0o600);
});

test('zeros that a power cut has left at the end are cut off', async () => {
  await using parts = await AuditParts.open(directory);
  await appendFile(file, Buffer.alloc(100_000));
  const audit = await parts.file();
  await parts.happen('after');
  await audit.stop();
  expect((await linesOf(file)).map(({ reason }) => reason)).toEqual(['after']);
});

test('lines that could not be taken back where a write failed do not come twice, and half of one goes', async () => {
  await using parts = await AuditParts.open(directory);
  for (const reason of ['one', 'two']) await parts.happen(reason);
  await parts.remember(0);
  let isFailing = true;
  const calls = {
    async write(handle: FileHandle, bytes: Uint8Array) {
      if (!isFailing) return void (await handle.write(bytes));
      isFailing = false;
      await handle.write(bytes.subarray(0, -10));
      // Nothing can be done with it any more, such as cut it.
      await handle.close();
      throw new Error('EIO: the disk fails');
    },
  };
  const audit = await parts.file({ calls, retryMs: { first: 10, most: 20 } });
  audit.start();
  while (!parts.logged.some((text) => text.includes('is written again'))) await sleep(5);
  await audit.stop();
  expect((await linesOf(file)).map(({ reason }) => reason)).toEqual(['one', 'two']);
});

test('before it is remembered what a new file has, the directory has been synced', async () => {
  await using parts = await AuditParts.open(directory);
  const happened: string[] = [];
  const calls = {
    async write(handle: FileHandle, bytes: Uint8Array) {
      happened.push('written');
      await handle.write(bytes);
    },
    async syncDirectory(path: string) {
      happened.push(`${path} synced`);
    },
  };
  const audit = await parts.file({ calls });
  await parts.happen('one');
  audit.start();
  await lines(file, 1);
  await rename(file, `${file}.1`);
  await parts.happen('two');
  await audit.stop();
  expect(happened).toEqual([`${directory} synced`, 'written', `${directory} synced`, 'written']);
});
