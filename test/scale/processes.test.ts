import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { z } from 'zod';
import { createLog } from '../../src/log/log.ts';
import { change } from '../../src/metadata/operation.ts';
import { PostgresRecords } from '../../src/fsck/postgres/records.ts';
import { applicationNames } from '../../src/metadata/postgres/application-name.ts';
import { PostgresMetadataStore } from '../../src/metadata/postgres/store.ts';
import { raiseGeneration } from '../../src/metadata/queries/store.ts';
import type { Topic } from '../../src/metadata/store.ts';
import { Processes } from '../../src/registry/processes.ts';
import { storageStatus } from '../../src/http/admin/status.ts';
import { migrations } from '../../src/metadata/migrations/all.ts';
import { version } from '../../src/version.ts';
import { wherry } from '../admin/wherry.ts';
import { ServedRegistry } from '../http/served-registry.ts';
import { until } from '../server/until.ts';
import { startPostgres } from './postgres-server.ts';
import { StorageServers } from './storage-servers.ts';
import { noSiblings } from '../../src/registry/siblings.ts';
import { PostgresTables } from '../pairs/tables.ts';

const storage = new StorageServers({ postgres: startPostgres });

let url: string;
let one: PostgresMetadataStore;
let two: PostgresMetadataStore;

beforeEach(async () => {
  url = await storage.postgres.newDatabase();
  one = await PostgresMetadataStore.open(url);
  two = await PostgresMetadataStore.open(url);
});

afterEach(async () => {
  await Promise.all([one.close(), two.close()]);
});

describe('what a process announces', () => {
  /** What a store has heard since it began to listen. */
  async function listening(store: PostgresMetadataStore): Promise<Topic[]> {
    const heard: Topic[] = [];
    store.onAnnouncement((topic) => heard.push(topic));
    await until('it listens', () => heard.length === 3);
    heard.length = 0;
    return heard;
  }

  test('is heard by the others, and not by itself', async () => {
    const [ofOne, ofTwo] = [await listening(one), await listening(two)];
    one.announce('purge');
    await until('the other has heard it', () => ofTwo.includes('purge'));
    two.announce('confirmed');
    await until('the other has heard it', () => ofOne.includes('confirmed'));
    expect([ofOne, ofTwo]).toEqual([['confirmed'], ['purge']]);
  });

  test('is that something was committed, once for many commits', async () => {
    const heard = await listening(two);
    for (let count = 0; count < 100; count++) await one.write(() => change(raiseGeneration, {}));
    await until('the other has heard it', () => heard.includes('commit'));
    expect(heard.length).toBeLessThan(50);
  });

  test('counts as missed where the connection was lost', async () => {
    const heard = await listening(two);
    PostgresTables.at(url).change(
      `select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'wherry (listening)%'`,
    );
    await until('all topics are told of', () => new Set(heard).size === 3);
    heard.length = 0;
    one.announce('purge');
    await until('the other has heard it', () => heard.includes('purge'));
  });
});

function makeReadOnly(): void {
  PostgresTables.at(url).change(
    `insert into read_only (name, reason, set_by, set_at, token) values ('registry', 'a test', 'a test', 0, 'token')`,
  );
}

test('while it is read-only, a registry starts, says what it sends none of, and ends', async () => {
  const settings = { metadata: url };
  await using registry = await ServedRegistry.start(settings);
  makeReadOnly();
  await registry.stop();
  await registry.resume(settings);
  PostgresTables.at(url).change(`insert into process (id, name) values ('other', 'another')`);
  PostgresTables.at(url).change(
    `insert into purge (at, actor, reason, is_shredding, finisher) values (0, 'a', 'b', 0, 'other')`,
  );
  one.announce('purge');
  await until(
    'it says so',
    () => PostgresTables.at(url).rows(`select * from purge_confirmation where process <> 'other'`).length === 1,
  );
  await registry.stop();
  expect(PostgresTables.at(url).rows('select id from process')).toEqual([{ id: 'other' }]);
}, 30_000);

test('the status shows which processes serve a registry, of which version, and what those of an earlier one do not say', async () => {
  await using registry = await ServedRegistry.start({ metadata: url, 'collector.run': 'off' });
  const log = await createLog({ level: 'error', format: 'json', stream: { write: () => undefined } });
  const about = { version: '9.9.9', isCollecting: true };
  const other = new Processes({ metadata: two, log, siblings: noSiblings, about, clock: registry.clock });
  await other.join();
  // As a version inserts it that knows none of the other columns.
  PostgresTables.at(url).change(`insert into process (id, name, beat) values ('older', 'process 7 on elsewhere', 3)`);
  const status = storageStatus.answer.parse(await (await registry.admin('GET', '/status')).json());
  const name = `process ${process.pid} on ${hostname()}`;
  const now = new Date(registry.clock.now()).toISOString();
  const idOf = (of: string) => status.processes.find((shown) => shown.version === of)?.id ?? '';
  const known = { name, schema: migrations.length, since: now, lastHeardAt: now };
  expect(status.processes.toSorted((a, b) => (a.version ?? '').localeCompare(b.version ?? ''))).toEqual([
    { id: 'older', name: 'process 7 on elsewhere' },
    { ...known, id: idOf(version), version, isCollecting: false },
    { ...known, id: idOf('9.9.9'), version: '9.9.9', isCollecting: true },
  ]);
  const config = join(registry.dataDirectory, 'wherry.yaml');
  writeFileSync(config, `metadata: ${url}\n`);
  const printed = await wherry(registry.dataDirectory, 'status', '--config', config);
  const said = (start: string) => printed.out.split('\n').find((line) => line.trim().startsWith(start));
  expect(said('process 7 on elsewhere')).toEndWith(
    '  version unknown, schema unknown, collecting unknown, since unknown, last heard of unknown',
  );
  expect(printed.out).toContain(`version 9.9.9, schema ${migrations.length}, may collect, since `);
  // A server of the data directory knows where the metadata is.
  expect((await wherry(registry.dataDirectory, 'status')).out).toContain('version 9.9.9');
  await other.leave();
  expect(PostgresTables.at(url).rows('select id from process')).toHaveLength(2);
}, 30_000);

test.each([applicationNames.listening, applicationNames.usual, 'wherry (listening)', 'wherry'])(
  'a check goes by a connection named %s for since when the registry has been served, and by none of a command',
  async (name) => {
    const client = new Client({ connectionString: url, application_name: name });
    const command = new Client({ connectionString: url, application_name: 'wherry fsck' });
    await using records = await PostgresRecords.open(url);
    await command.connect();
    // PostgreSQL knows of the end of a connection a moment later.
    await until('nobody serves it', async () => (await records.servedSince()) === undefined);
    await client.connect();
    const { rows } = await client.query<{ since: string }>(
      'select extract(epoch from backend_start) * 1000 as since from pg_stat_activity where pid = pg_backend_pid()',
    );
    expect(await records.servedSince()).toBe(Number(rows[0]?.since));
    await Promise.all([client.end(), command.end()]);
  },
);

test('a registry says which processes of an older version heed neither that it is read-only nor purges', async () => {
  await using registry = await ServedRegistry.start({ metadata: url });
  const digest = await registry.pushBlob('team/app', new Uint8Array(10));
  const config = join(registry.dataDirectory, 'wherry.yaml');
  writeFileSync(config, `metadata: ${url}\n`);
  const readonly = async (...args: readonly string[]) =>
    await wherry(registry.dataDirectory, 'readonly', ...args, '--config', config);
  const purge = async () => {
    const answer = await registry.admin('POST', '/purge', { digests: [digest], reason: 'a secret' });
    const { unreached } = z.object({ unreached: z.array(z.string()) }).parse(await answer.json());
    return unreached.filter((sentence) => sentence.includes('older version'));
  };
  // These know of both already, though of less than the newest version.
  const newer = new Client({ connectionString: url, application_name: 'wherry/24' });
  await newer.connect();
  expect((await readonly('on')).out).not.toContain('older version');
  await readonly('off');
  expect(await purge()).toEqual([]);
  const older = new Client({ connectionString: url, application_name: 'wherry/21' });
  await older.connect();
  const on = await readonly('on');
  expect(on.code).toBe(0);
  expect(on.out).toContain('processes of an older version do not heed it');
  expect(on.out).toContain('1 connection from 127.0.0.1');
  expect((await readonly('off')).code).toBe(0);
  expect((await purge()).join('\n')).toContain('(1 connection from 127.0.0.1)');
  await Promise.all([older.end(), newer.end()]);
}, 30_000);

describe('a process', () => {
  let nowMs: number;
  let silences: number;
  let process: Processes;

  beforeEach(async () => {
    [nowMs, silences] = [0, 0];
    const log = await createLog({ level: 'error', format: 'json', stream: { write: () => undefined } });
    process = new Processes({ metadata: one, log, siblings: noSiblings, monotonic: () => nowMs });
    process.onSilent(async () => void silences++);
    await process.join();
  });

  afterEach(async () => {
    await process.leave();
  });

  const rows = (): readonly string[] =>
    PostgresTables.at(url)
      .rows<{ id: string }>('select id from process')
      .map(({ id }) => id);

  /** Beats to the end; how often it did is told by its number. */
  async function beat(): Promise<void> {
    const number = () =>
      PostgresTables.at(url).rows<{ beat: number }>(`select beat from process where id = '${process.id}'`)[0]?.beat;
    const before = number() ?? -1;
    process.beatSoon();
    await until('it has beaten', () => (number() ?? -1) > before);
    // Whatever it does beside that.
    process.beatSoon();
    await until('it has beaten again', () => (number() ?? -1) > before + 1);
  }

  test('takes away one whose number stays the same for long, and none whose number grows', async () => {
    PostgresTables.at(url).change(`insert into process (id, name) values ('gone', 'one'), ('slow', 'another')`);
    await beat();
    nowMs += 30_000;
    PostgresTables.at(url).change(`update process set beat = beat + 1 where id = 'slow'`);
    await beat();
    expect(rows()).toContain('gone');
    nowMs += 16_000;
    await beat();
    await until('it is taken away', () => !rows().includes('gone'));
    expect(rows()).toContain('slow');
  });

  test('that cannot show for long that it lives breaks off what it sends, before the others take it for gone', async () => {
    await beat();
    await storage.postgres.halt();
    try {
      nowMs += 29_000;
      process.beatSoon();
      await Bun.sleep(100);
      expect(silences).toBe(0);
      nowMs += 1500;
      process.beatSoon();
      await until('it breaks off', () => silences > 0);
      // What has begun since then.
      process.beatSoon();
      const before = silences;
      process.beatSoon();
      await until('it breaks off again', () => silences > before);
    } finally {
      await storage.postgres.goOn();
    }
    await beat();
    const before = silences;
    await beat();
    expect(silences).toBe(before);
  }, 30_000);

  test('has its place on the disk before it serves, and when it takes it again: a crash of the database makes no purge forget it', async () => {
    const commits: boolean[] = [];
    const watched = await PostgresMetadataStore.open(url, {
      calls: {
        async commit(send, mustLast) {
          const answer = await send();
          commits.push(mustLast);
          return answer;
        },
      },
    });
    const log = await createLog({ level: 'error', format: 'json', stream: { write: () => undefined } });
    const joining = new Processes({ metadata: watched, log, siblings: noSiblings, monotonic: () => nowMs });
    await joining.join();
    expect(commits).toEqual([true]);
    PostgresTables.at(url).change('delete from process');
    joining.beatSoon();
    await until('it has its place again', () => commits.length >= 3);
    expect(commits.slice(1, 3)).toEqual([false, true]);
    await joining.leave();
    await watched.close();
  });

  test('that finds itself taken for gone breaks off what it sends, and takes its place again', async () => {
    const before = process.id ?? '';
    PostgresTables.at(url).change('delete from process');
    process.beatSoon();
    await until('it has its place', () => rows().includes(before));
    await until('it breaks off', () => silences > 0);
  });

  test('shows that it lives, begins and ends as ever while the registry is read-only', async () => {
    makeReadOnly();
    PostgresTables.at(url).change(`insert into process (id, name) values ('gone', 'one')`);
    for (let seconds = 0; seconds <= 60; seconds += 20) {
      await beat();
      nowMs += 20_000;
    }
    expect(silences).toBe(0);
    await until('one that is gone is taken away', () => !rows().includes('gone'));
    await process.leave();
    expect(rows()).toEqual([]);
    await process.join();
    expect(rows()).toHaveLength(1);
  });

  test('gives its place up when it ends, and what it had claimed', async () => {
    const id = process.id ?? '';
    PostgresTables.at(url).change(
      `insert into purge (at, actor, reason, is_shredding, finisher) values (0, 'a', 'b', 0, '${id}')`,
    );
    PostgresTables.at(url).change(
      `insert into purge_confirmation (purge, process) select purge.id, '${id}' from purge`,
    );
    await process.leave();
    expect(rows()).toEqual([]);
    expect(PostgresTables.at(url).rows('select finisher from purge')).toEqual([{ finisher: null }]);
    expect(PostgresTables.at(url).rows('select * from purge_confirmation')).toEqual([]);
  });
});
