import { Database } from 'bun:sqlite';
import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { migrations } from '../migrations/all.ts';
import type { Migration, TriggerDefinition } from '../migrations/migration.ts';
import { NewerSchemaError } from '../migrations/newer-schema.ts';
import { migrate } from './migrate.ts';

let database: Database;

beforeEach(() => {
  database = new Database(':memory:');
});

afterEach(() => {
  database.close();
});

function schemaNumber(): number {
  return database.query<{ user_version: number }, []>('pragma user_version').get()?.user_version ?? -1;
}

function tables(): readonly string[] {
  return database
    .query<{ name: string }, []>(`select name from sqlite_schema where type = 'table' order by name`)
    .all()
    .map(({ name }) => name);
}

function definitions(): string {
  return JSON.stringify(database.query('select type, name, sql from sqlite_schema order by type, name').all());
}

function step(number: number, ...statements: readonly string[]): Migration {
  return { number, name: `step ${number}`, statements: () => statements };
}

const first = step(1, 'create table one (a text)', `insert into one values ('kept')`);
const second = step(2, 'create table two (b text)', 'alter table one add column c text');

describe('migrations', () => {
  test('are numbered from 1 without gaps, in the order in which they run', () => {
    expect(migrations.map(({ number }) => number)).toEqual(migrations.map((_, index) => index + 1));
    expect(migrations.length).toBeGreaterThan(0);
  });

  test('have each a name of their own', () => {
    expect(new Set(migrations.map(({ name }) => name)).size).toBe(migrations.length);
  });

  test('mean the same schema in every dialect: only the words that differ are passed in', () => {
    const words = {
      bytes: 'bytea',
      text: 'text',
      integer: 'bigint',
      identity: 'bigserial primary key',
      emptiedByCrashes: '',
      clustered: '',
      counterShard: '0',
      randomNumber: '0',
      numberInTransactions: () => [],
      trigger: ({ statements }: TriggerDefinition) => statements,
      dropTrigger: () => [],
    };
    const text = migrations.flatMap(({ statements }) => statements(words)).join(';\n');
    expect(text).not.toMatch(/\b(blob|integer|strict|without rowid|autoincrement)\b/i);
    expect(text).toContain('bigint');
  });
});

describe('a database', () => {
  test('that is new gets the newest schema and its number', () => {
    migrate(database);
    expect(schemaNumber()).toBe(migrations.length);
    expect(tables()).toEqual([
      'announced_end',
      'audit_file',
      'audit_mark',
      'blocked',
      'collector_pause',
      'event',
      'incarnation',
      'link',
      'manifest',
      'manifest_blob',
      'manifest_child',
      'object',
      'pin',
      'policy_approval',
      'process',
      'pruned_hour',
      'pruning_pause',
      'pull_history',
      'purge',
      'purge_confirmation',
      'purge_consequence',
      'purge_digest',
      'purge_place',
      'push_history',
      'quota',
      'quota_blob',
      'quota_set',
      'quota_usage',
      'read_only',
      'refresh_token',
      'repository',
      'retention_review',
      'robot',
      'room_making',
      'rules_in_force',
      'signing_key',
      'storage_sample',
      'store',
      'stored',
      'tag',
      'tag_trash',
      'task',
      'upload',
    ]);
  });

  test('that is up to date is left alone', () => {
    migrate(database);
    const before = definitions();
    const changes = database.query<{ n: number }, []>('select total_changes() as n').get()?.n;
    migrate(database);
    expect(definitions()).toBe(before);
    expect(schemaNumber()).toBe(migrations.length);
    expect(database.query<{ n: number }, []>('select total_changes() as n').get()?.n).toBe(changes ?? -1);
  });

  test('that is older gets the steps that it lacks, and keeps what it holds', () => {
    migrate(database, [first]);
    expect([schemaNumber(), tables()]).toEqual([1, ['one']]);
    migrate(database, [first, second]);
    expect([schemaNumber(), tables()]).toEqual([2, ['one', 'two']]);
    expect(database.query('select a, c from one').all()).toEqual([{ a: 'kept', c: null }]);
  });

  test('keeps the steps before one that fails, and nothing of that one', () => {
    const failing = step(
      2,
      'create table two (b text)',
      `insert into one values ('lost')`,
      'create table two (b text)',
    );
    expect(() => migrate(database, [first, failing])).toThrow('table two already exists');
    expect([schemaNumber(), tables()]).toEqual([1, ['one']]);
    expect(database.query('select a from one').all()).toEqual([{ a: 'kept' }]);
    expect(database.inTransaction).toBe(false);
  });

  test('takes the mended step after a failed one', () => {
    expect(() => migrate(database, [first, step(2, 'create table')])).toThrow('incomplete input');
    migrate(database, [first, second]);
    expect([schemaNumber(), tables()]).toEqual([2, ['one', 'two']]);
  });

  test('with a step that fails stops there: later steps build on it', () => {
    const third = step(3, 'create table three (d text)');
    expect(() => migrate(database, [first, step(2, 'create table'), third])).toThrow('incomplete input');
    expect([schemaNumber(), tables()]).toEqual([1, ['one']]);
  });

  test('of a newer version is refused and left as it is', () => {
    migrate(database);
    database.run('create table of_tomorrow (a text)');
    database.run(`pragma user_version = ${migrations.length + 1}`);
    const before = definitions();
    expect(() => migrate(database)).toThrow(NewerSchemaError);
    expect(() => migrate(database)).toThrow(
      `the database has schema ${migrations.length + 1}, this version of wherry knows schemas up to ${migrations.length}: start the newer version`,
    );
    expect(definitions()).toBe(before);
    expect(schemaNumber()).toBe(migrations.length + 1);
  });
});
