import { afterEach, beforeEach, expect, test } from 'bun:test';
import { Client } from 'pg';
import type { RunningServer } from '../../src/server/server.ts';
import { digestOf, freshBytes, imageOf, ociManifest } from '../http/content.ts';
import { startQuietServer } from '../server/quiet-server.ts';
import { TemporaryDirectory } from '../server/temporary-directory.ts';
import { startPostgres } from './postgres-server.ts';
import { StorageServers } from './storage-servers.ts';

const storage = new StorageServers({ postgres: startPostgres });
const rounds = 40;

let directory: TemporaryDirectory;
let server: RunningServer;
let database: Client;

beforeEach(async () => {
  directory = new TemporaryDirectory('lock-order');
  const metadata = await storage.postgres.newDatabase();
  database = new Client({ connectionString: metadata });
  await database.connect();
  server = await startQuietServer({ data: directory.path, metadata });
});

afterEach(async () => {
  await server.stop();
  await database.end();
  directory[Symbol.dispose]();
});

async function send(path: string, init: RequestInit): Promise<number> {
  const { status } = await fetch(new URL(path, server.url), init);
  return status;
}

/** The bytes of an image whose blobs are there. */
async function image(): Promise<string> {
  const blobs = [freshBytes(), freshBytes(), freshBytes()];
  for (const blob of blobs) {
    await send(`/v2/app/blobs/uploads/?digest=${digestOf(blob)}`, { method: 'POST', body: blob });
  }
  const [config = freshBytes(), ...layers] = blobs;
  return JSON.stringify(imageOf(config, ...layers));
}

async function push(bytes: string, ...tags: readonly string[]): Promise<number> {
  const query = tags.map((tag) => `tag=${tag}`).join('&');
  const path = `/v2/app/manifests/${digestOf(bytes)}?${query}`;
  return await send(path, { method: 'PUT', headers: { 'content-type': ociManifest }, body: bytes });
}

async function deadlocks(): Promise<number> {
  const { rows } = await database.query<{ deadlocks: string }>(
    'select deadlocks from pg_stat_database where datname = current_database()',
  );
  return Number(rows[0]?.deadlocks);
}

async function expectNoDeadlock(): Promise<void> {
  const text = await (await fetch(new URL('/metrics', server.url))).text();
  const counted = /^wherry_database_meetings_total\{kind="deadlock"\} (\d+)$/m.exec(text)?.[1];
  expect(counted).toBe('0');
  expect(await deadlocks()).toBe(0);
}

test('pushes that move the same tags, named in any order, do not wait for each other in turn', async () => {
  const images = [await image(), await image()];
  for (let round = 0; round < rounds; round++) {
    const [one = '', two = ''] = round % 2 === 0 ? images : images.toReversed();
    const statuses = await Promise.all([push(one, 'a', 'b', 'c', 'd'), push(two, 'd', 'c', 'b', 'a')]);
    expect(statuses).toEqual([201, 201]);
  }
  await expectNoDeadlock();
});

test('pushes that move two tags from each of two images to the other do not either', async () => {
  const [one, two] = [await image(), await image()];
  for (let round = 0; round < rounds; round++) {
    await Promise.all([push(one, 'a'), push(two, 'b')]);
    expect(await Promise.all([push(two, 'a'), push(one, 'b')])).toEqual([201, 201]);
  }
  await expectNoDeadlock();
});

test('nor do a push under a tag and a delete of the tag', async () => {
  const bytes = await image();
  for (let round = 0; round < rounds; round++) {
    await push(bytes, 'a');
    await Promise.all([push(bytes, 'a'), send('/v2/app/manifests/a', { method: 'DELETE' })]);
  }
  await expectNoDeadlock();
});

test('nor do a push that moves a tag away from an image, or is of that image, and a delete of the image', async () => {
  const [one, two] = [await image(), await image()];
  for (let round = 0; round < rounds; round++) {
    await push(one, 'a', 'b');
    const path = `/v2/app/manifests/${digestOf(one)}`;
    await Promise.all([push(two, 'a'), push(one, 'b'), send(path, { method: 'DELETE' })]);
  }
  await expectNoDeadlock();
});
