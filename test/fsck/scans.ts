import { Database } from 'bun:sqlite';
import { spyOn } from 'bun:test';
import { join } from 'node:path';
import { Client } from 'pg';
import { z } from 'zod';
import { fsck, type FsckOptions } from '../../src/fsck/fsck.ts';
import { numbered, plannerOptions, PostgresRecords } from '../../src/fsck/postgres/records.ts';
import { SqliteRecords } from '../../src/fsck/sqlite/records.ts';
import type { ServedRegistry } from '../http/served-registry.ts';
import { placesBeside } from '../pairs/checked-places.ts';
import { isOnPostgres } from './damaged-registry.ts';

/** A table of which a statement reads everything. */
export interface Scan {
  /** Its alias, where it has one. */
  readonly table: string | undefined;
  readonly sql: string;
}

/** What a check asks the database, but for what the database says of its own tables. */
export async function askedBy(registry: ServedRegistry, options: Partial<FsckOptions> = {}): Promise<Set<string>> {
  using asked = isOnPostgres ? spyOn(PostgresRecords.prototype, 'all') : spyOn(SqliteRecords.prototype, 'all');
  await Array.fromAsync(fsck({ ...placesBeside(registry.dataDirectory), now: registry.clock.now(), ...options }));
  const statements = asked.mock.calls.map(([sql]) => sql);
  return new Set(statements.filter((sql) => !/^pragma|sqlite_schema|pg_class|pg_stat|schema_migration/.test(sql)));
}

/** The tables that some statements read whole. */
export async function scansOf(registry: ServedRegistry, statements: Iterable<string>): Promise<readonly Scan[]> {
  return isOnPostgres ? await scansOnPostgres(registry, statements) : scansOnSqlite(registry, statements);
}

function scansOnSqlite({ dataDirectory }: ServedRegistry, statements: Iterable<string>): readonly Scan[] {
  using database = new Database(join(dataDirectory, 'wherry.db'), { readonly: true });
  return [...statements].flatMap((sql) =>
    database
      .prepare<{ detail: string }, []>(`explain query plan ${sql}`)
      .all()
      .filter(({ detail }) => /^SCAN (?!CONSTANT ROW)(\w+)(?! USING)/.test(detail))
      .map(({ detail }) => ({ table: /^SCAN (\w+)/.exec(detail)?.[1], sql })),
  );
}

const node = z.looseObject({
  'Node Type': z.string(),
  Alias: z.string().optional(),
  'Index Cond': z.string().optional(),
  Filter: z.string().optional(),
  get Plans() {
    return z.array(node).optional();
  },
});
type PlanNode = z.output<typeof node>;
const explained = z.tuple([z.object({ 'QUERY PLAN': z.tuple([z.object({ Plan: node })]) })]);

async function scansOnPostgres(
  { dataDirectory }: ServedRegistry,
  statements: Iterable<string>,
): Promise<readonly Scan[]> {
  const client = new Client({
    connectionString: placesBeside(dataDirectory).database,
    options: plannerOptions,
  });
  await client.connect();
  try {
    const scans: Scan[] = [];
    for (const [index, sql] of [...statements].entries()) {
      const text = numbered(sql);
      const count = Math.max(0, ...[...text.matchAll(/\$(\d+)/g)].map((match) => Number(match[1])));
      const given = count === 0 ? '' : `(${Array.from({ length: count }, () => 'null').join(', ')})`;
      await client.query(`prepare looked_at_${index} as ${text}`);
      const { rows } = await client.query(`explain (format json) execute looked_at_${index}${given}`);
      const [{ 'QUERY PLAN': plan }] = explained.parse(rows);
      for (const table of wholeTablesIn(plan[0].Plan)) scans.push({ table, sql });
    }
    return scans;
  } finally {
    await client.end();
  }
}

/** An index that is read without a condition is read whole. */
function wholeTablesIn(plan: PlanNode, above?: string): readonly (string | undefined)[] {
  const isWhole = plan['Node Type'].endsWith('Scan') && !('Index Cond' in plan) && !isOfOthers.test(plan['Node Type']);
  const table = plan.Alias ?? above;
  // It has read all rows that there may be before it looks for one.
  const isHashed = plan.Filter?.includes('hashed SubPlan') === true;
  return [
    ...(isWhole ? [table] : []),
    ...(isHashed ? [`hashed for ${table}`] : []),
    ...(plan.Plans ?? []).flatMap((below) => wholeTablesIn(below, table)),
  ];
}

/** What reads what the statement itself has made, or what an index below has found. */
const isOfOthers = /^(?:CTE|WorkTable|Subquery|Values|Bitmap Heap|Function|Result) Scan$|^Result$/;
