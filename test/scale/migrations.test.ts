import { afterEach, beforeEach, expect, test } from 'bun:test';
import { Client } from 'pg';
import type { Migration } from '../../src/metadata/migrations/migration.ts';
import { NewerSchemaError } from '../../src/metadata/migrations/newer-schema.ts';
import { migrate } from '../../src/metadata/postgres/migrate.ts';
import { startPostgres } from './postgres-server.ts';
import { StorageServers } from './storage-servers.ts';

const storage = new StorageServers({ postgres: startPostgres });

const first: Migration = { number: 1, name: 'first', statements: () => ['create table one (a text)'] };

/** A later step that adds a column; versions that know `understoodSince` can do without. */
function adding(number: number, understoodSince: number): Migration {
  const statements = () => [`alter table one add column c${number} text`];
  return { number, name: `adds c${number}`, understoodSince, statements };
}

let url: string;
let migrating: Client;

beforeEach(async () => {
  url = await storage.postgres.newDatabase();
  migrating = await connected();
});

afterEach(async () => {
  await migrating.end();
});

async function connected(): Promise<Client> {
  const client = new Client({ connectionString: url });
  await client.connect();
  return client;
}

test('a version starts on the schema of later ones as long as all their steps are understood by it', async () => {
  await migrate(migrating, { steps: [first, adding(2, 1), adding(3, 1)] });
  await migrate(migrating, { steps: [first] });
  await migrate(migrating, { steps: [first, adding(2, 1)] });
  await migrate(migrating, { steps: [first, adding(2, 1), adding(3, 1), adding(4, 2)] });
  const refused = await migrate(migrating, { steps: [first] }).catch((error: unknown) => error);
  expect(refused).toBeInstanceOf(NewerSchemaError);
  await migrate(migrating, { steps: [first, adding(2, 1)] });
});

test('a step that says nothing is understood by nobody who does not know it', async () => {
  const { understoodSince: _, ...second } = adding(2, 1);
  await migrate(migrating, { steps: [first, second] });
  const refused = await migrate(migrating, { steps: [first] }).catch((error: unknown) => error);
  expect(refused).toBeInstanceOf(NewerSchemaError);
});

test('a change of a table that a transaction uses keeps nobody waiting, and comes once that has ended', async () => {
  await migrate(migrating, { steps: [first] });
  const long = await connected();
  await long.query('begin; select a from one');
  const changing = migrate(migrating, { steps: [first, adding(2, 1)], locking: { tries: 10_000, waitMs: 20 } });
  const other = await connected();
  const locks = `select 1 from pg_locks where relation = 'one'::regclass and not granted`;
  for (let waited = 0; waited < 3;) waited += (await other.query(locks)).rows.length;
  // It would wait behind the change, which would wait for ever.
  for (let queries = 0; queries < 50; queries++) await other.query('select a from one');
  await long.query('commit');
  await changing;
  expect((await other.query('select c2 from one')).rows).toEqual([]);
  await Promise.all([long.end(), other.end()]);
});

test('a table that is never free is told of, and nothing has changed', async () => {
  await migrate(migrating, { steps: [first] });
  const long = await connected();
  await long.query('begin; select a from one');
  const refused = await migrate(migrating, {
    steps: [first, adding(2, 1)],
    locking: { tries: 3, waitMs: 5 },
  }).catch((error: unknown) => error);
  await long.end();
  expect(refused).toHaveProperty('code', '55P03');
  await migrate(migrating, { steps: [first, adding(2, 1)] });
});

test('who starts waits for nobody who reads, such as a dump, where nothing is to be changed', async () => {
  await migrate(migrating, { steps: [first] });
  const dump = await connected();
  await dump.query('begin; lock table schema_migration in access share mode');
  await migrating.query('set lock_timeout = 200');
  await migrate(migrating, { steps: [first], locking: { tries: 1, waitMs: 200 } });
  await dump.query('rollback');
  await dump.end();
});

test('a table of migrations that an early version has made gets the column that it lacks, once it is free', async () => {
  await migrating.query('create table schema_migration (number bigint primary key, name text not null)');
  await migrating.query('alter table schema_migration add column at timestamptz not null default now()');
  const dump = await connected();
  await dump.query('begin; lock table schema_migration in access share mode');
  const refused = await migrate(migrating, { steps: [first], locking: { tries: 2, waitMs: 5 } }).catch(
    (error: unknown) => error,
  );
  expect(refused).toHaveProperty('code', '55P03');
  await dump.end();
  await migrate(migrating, { steps: [first] });
  expect((await migrating.query('select understood_since from schema_migration')).rows).toHaveLength(1);
});
