import { afterEach, beforeEach, expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { RunningServer } from '../../src/server/server.ts';
import { digestOf, freshBytes } from '../http/content.ts';
import { PostgresTables } from '../pairs/tables.ts';
import { freePort } from '../server/free-port.ts';
import { startQuietServer } from '../server/quiet-server.ts';
import { ServerProcess } from '../server/server-process.ts';
import { TemporaryDirectory } from '../server/temporary-directory.ts';
import { until } from '../server/until.ts';
import { startPostgres } from './postgres-server.ts';
import { StorageServers } from './storage-servers.ts';

const storage = new StorageServers({ postgres: startPostgres });
const line = z.object({ id: z.number() });

let directory: TemporaryDirectory;
let metadata: string;

beforeEach(async () => {
  directory = new TemporaryDirectory('audits');
  metadata = await storage.postgres.newDatabase();
});

afterEach(() => directory[Symbol.dispose]());

async function serve(name: string): Promise<RunningServer> {
  return await startQuietServer({ data: directory.path, metadata, 'audit.file': join(directory.path, name) });
}

async function push(origin: string): Promise<void> {
  const bytes = freshBytes();
  const path = `/v2/app/blobs/uploads/?digest=${digestOf(bytes)}`;
  expect((await fetch(origin + path, { method: 'POST', body: bytes })).status).toBe(201);
}

function idsIn(name: string): readonly number[] {
  const text = readFileSync(join(directory.path, name), 'utf8').trim();
  return text === '' ? [] : text.split('\n').map((each) => line.parse(JSON.parse(each)).id);
}

function eventIds(): readonly number[] {
  return PostgresTables.at(metadata)
    .rows<{ id: number }>('select id from event order by id')
    .map(({ id }) => id);
}

test('each of two processes writes a file with every event once, whichever it came from, also after it was stopped', async () => {
  let one = await serve('one.jsonl');
  const two = await serve('two.jsonl');
  for (const server of [one, two]) await push(server.url);
  await one.stop();
  await push(two.url);
  await until('the other has written it', () => idsIn('two.jsonl').length === 3);
  one = await serve('one.jsonl');
  for (const server of [one, two]) await push(server.url);
  await Promise.all([one.stop(), two.stop()]);
  expect(eventIds()).toHaveLength(5);
  expect(idsIn('one.jsonl')).toEqual(eventIds());
  expect(idsIn('two.jsonl')).toEqual(eventIds());
});

test('of two processes that name the same file one writes it, and the other goes on when that is killed', async () => {
  const port = freePort();
  await using one = await ServerProcess.start(port, join(directory.path, 'log'), {
    command: [
      process.execPath,
      'src/main.ts',
      'serve',
      `--data=${directory.path}`,
      `--metadata=${metadata}`,
      `--listen=127.0.0.1:${port}`,
      `--audit-file=${join(directory.path, 'audit.jsonl')}`,
    ],
  });
  const two = await serve('audit.jsonl');
  for (const origin of [one.origin, two.url, one.origin]) await push(origin);
  await until('they are written', () => idsIn('audit.jsonl').length >= 3);
  await one.kill();
  await push(two.url);
  await until('the other goes on', () => idsIn('audit.jsonl').length >= 4);
  await two.stop();
  expect(idsIn('audit.jsonl')).toEqual(eventIds());
});
