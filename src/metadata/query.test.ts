import { Database } from 'bun:sqlite';
import { afterAll, describe, expect, test } from 'bun:test';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { everyQuery } from './every-query.ts';
import { visibleAmong } from './queries/links.ts';
import { dialects, query, type CompiledQuery } from './query.ts';
import { SqliteConnection } from './sqlite/connection.ts';
import { migrate } from './sqlite/migrate.ts';

const database = new Database(':memory:');
migrate(database);
afterAll(() => database.close());

/** A statement without the names in it: what is left is keywords, operators, placeholders, and whatever was inlined. */
function withoutNames(sql: string): string {
  return sql.replaceAll(/"[^"]*"/g, '');
}

function parametersOf(compiled: CompiledQuery): readonly string[] {
  return compiled.bindings.flatMap((binding) => ('parameter' in binding ? [binding.parameter] : []));
}

function constantsOf(compiled: CompiledQuery): readonly unknown[] {
  return compiled.bindings.flatMap((binding) => ('constant' in binding ? [binding.constant] : []));
}

/** All that a query may bind besides its parameters: the schema's words, "one more" and "one row", and NULL. */
const knownConstants = new Set<unknown>([
  'pending',
  'live',
  'condemned',
  'dead',
  'manifest',
  'repository',
  'tag',
  'collector',
  'pruning',
  'registry',
  'database',
  '',
  'open',
  'done',
  'trashed',
  'object',
  'link',
  'upload',
  'trashed-tag',
  'removed',
  'child',
  'referrer',
  'tag-about',
  ':',
  '-',
  'links',
  'stale',
  'file',
  'room',
  1,
  null,
]);

test('the queries of every file are among those tested here', () => {
  const files = readdirSync(join(import.meta.dir, 'queries')).filter((file) => !file.endsWith('.test.ts'));
  const tested = new Set(everyQuery.map(({ name }) => `${name.slice(0, name.indexOf('.'))}.ts`));
  expect([...tested].sort()).toEqual(files.sort());
  expect(everyQuery.length).toBeGreaterThan(40);
});

describe.each([...everyQuery])('$name', (tested) => {
  const sqlite = tested.compiled(dialects.sqlite);
  const postgres = tested.compiled(dialects.postgres);

  test('is a statement that SQLite accepts on the newest schema, with a value for each placeholder', () => {
    const statement = database.prepare(sqlite.sql);
    expect(statement.paramsCount).toBe(sqlite.bindings.length);
    statement.finalize();
  });

  test('numbers the placeholders of PostgreSQL from $1 on, one for each value', () => {
    const placeholders = withoutNames(postgres.sql).match(/\$\d+/g) ?? [];
    expect(placeholders.join()).toBe(postgres.bindings.map((_, index) => `$${index + 1}`).join());
    expect(withoutNames(postgres.sql)).not.toContain('?');
  });

  test('has no value in its text', () => {
    expect(withoutNames(sqlite.sql)).not.toMatch(/['\d]/);
    expect(withoutNames(postgres.sql).replaceAll(/\$\d+/g, '')).not.toMatch(/['\d]/);
  });

  test('binds nothing of its own but words of the schema, 1 and null', () => {
    expect(constantsOf(sqlite).filter((constant) => !knownConstants.has(constant))).toEqual([]);
  });

  test('takes the same parameters and constants in both databases', () => {
    expect(postgres.bindings).toEqual(sqlite.bindings);
  });
});

test('a list is one parameter in both databases', () => {
  expect(parametersOf(visibleAmong.compiled(dialects.sqlite))).toEqual(['repo', 'digests']);
  expect(parametersOf(visibleAmong.compiled(dialects.postgres))).toEqual(['repo', 'digests']);
  expect(visibleAmong.compiled(dialects.postgres).sql).toContain('= any($2::text[])');
});

test('a query is compiled once for each dialect', () => {
  let built = 0;
  const counted = query<{ oid: string }>()(({ db, p }) => {
    built++;
    return db.selectFrom('object').select('state').where('oid', '=', p('oid'));
  });
  expect(counted.compiled(dialects.sqlite)).toBe(counted.compiled(dialects.sqlite));
  expect(counted.compiled(dialects.postgres)).toBe(counted.compiled(dialects.postgres));
  expect(built).toBe(2);
});

describe('a query on a connection', () => {
  const connection = new SqliteConnection(database);
  /** Its parameters are known only when it runs, so that one can be left out here. */
  const anyState = query<Readonly<Record<string, string>>>()(({ db, p }) =>
    db
      .selectFrom('object')
      .select('state')
      .where(({ or, eb }) => or([eb('oid', '=', p('oid')), eb('oid', '=', p('other'))])),
  );
  const texts = query<{ list: readonly string[] }>()(({ db, p, dialect }) =>
    db.selectFrom(dialect.rowsOf(p('list')).as('row')).select('row.value'),
  );

  test('throws where one of its parameters was not given', () => {
    expect(() => connection.all(anyState, { oid: 'a' })).toThrow('parameter other was not given');
    expect(() => connection.run(anyState, { other: 'a' })).toThrow('parameter oid was not given');
    expect(connection.all(anyState, { oid: 'a', other: 'b' })).toEqual([]);
  });

  test.each([
    [[]],
    [['']],
    [['one', "it's", '"quoted"', 'back\\slash', 'line\nbreak', 'naïve 🐳']],
    [Array.from({ length: 100_000 }, (_, index) => `text ${index}`)],
  ])('takes a list of texts as it is, whatever stands in it (%#)', (list) => {
    expect(connection.all(texts, { list }).map(({ value }) => value)).toEqual(list);
  });

  test('finds those of a list that are there, and no others', () => {
    const among = query<{ list: readonly string[] }>()(({ db, p, dialect }) =>
      db
        .selectFrom('object')
        .select('oid')
        .where(({ ref }) => dialect.isOneOf(ref('oid'), p('list')))
        .orderBy('oid'),
    );
    database.run(`insert into object (oid, state) values ('a', 'pending'), ('b', 'pending'), ('c', 'pending')`);
    expect(connection.all(among, { list: ['c', 'd', 'a', 'a'] })).toEqual([{ oid: 'a' }, { oid: 'c' }]);
    expect(connection.all(among, { list: [] })).toEqual([]);
  });
});
