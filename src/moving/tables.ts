import { Database } from 'bun:sqlite';
import { migrate } from '../metadata/sqlite/migrate.ts';

/** A table, as it is in every database. */
export interface Table {
  readonly name: string;
  /** All but those that the database computes. */
  readonly columns: readonly string[];
  /** Those of the primary key, in its order. */
  readonly key: readonly string[];
  /** Columns that refer to rows which are not copied: NULL in the copy. */
  readonly emptied: readonly string[];
  /** So many rows are read and written at once. */
  readonly rowsAtOnce: number;
}

/** The tables of a registry, those first that others refer to. */
export interface Tables {
  readonly all: readonly Table[];
  /** Those whose rows are copied; the others say something of the database that they are in. */
  readonly copied: readonly Table[];
  /** Those that are empty before the others come. */
  readonly emptied: readonly Table[];
  readonly events: Table;
}

/** What is counted by the database itself, what says of a place that it must not be changed, who serves it, and which database it is. */
const notCopied = new Set([
  'stored',
  'quota_set',
  'read_only',
  'process',
  'purge_confirmation',
  'room_making',
  'incarnation',
]);
/** What is counted, and what says of the new place itself that it must not be changed, and which database it is. */
const keptThere = new Set(['stored', 'quota_set', 'read_only', 'incarnation']);
/** Manifests have 4 MiB each at most, unless somebody has set more. */
const manifestsAtOnce = 32;
const usualRowsAtOnce = 500;

/** Reads the tables from the newest schema, so that none that it has can be left out. */
export function tablesOfSchema(): Tables {
  using database = new Database(':memory:');
  migrate(database);
  const names = database
    .query<{ name: string }, []>(
      `select name from sqlite_schema where type = 'table' and name not like 'sqlite_%' order by name`,
    )
    .all()
    .map(({ name }) => name);
  const all = inOrder(names, (name) => references(database, name).map(({ table }) => table)).map((name) =>
    tableOf(database, name),
  );
  return {
    all,
    events: tableOf(database, 'event'),
    emptied: all.filter(({ name }) => !keptThere.has(name)),
    copied: all.filter(({ name }) => !notCopied.has(name)),
  };
}

function tableOf(database: Database, name: string): Table {
  const rows = database
    .query<{ name: string; pk: number; hidden: number }, [string]>('select name, pk, hidden from pragma_table_xinfo(?)')
    .all(name);
  const columns = rows.filter(({ hidden }) => hidden === 0).map((row) => row.name);
  const key = rows
    .filter(({ pk }) => pk > 0)
    .toSorted((one, other) => one.pk - other.pk)
    .map((row) => row.name);
  if (key.length === 0) throw new Error(`the table ${name} has no primary key`);
  return {
    name,
    columns,
    key,
    emptied: references(database, name).flatMap(({ table, from }) => (notCopied.has(table) ? [from] : [])),
    rowsAtOnce: columns.includes('bytes') && name === 'manifest' ? manifestsAtOnce : usualRowsAtOnce,
  };
}

interface Reference {
  readonly from: string;
  readonly table: string;
}

function references(database: Database, name: string): readonly Reference[] {
  return database
    .query<Reference, [string]>('select distinct "from", "table" from pragma_foreign_key_list(?)')
    .all(name);
}

/** Each behind those that it needs. */
function inOrder(names: readonly string[], neededBy: (name: string) => readonly string[]): readonly string[] {
  const done = new Set<string>();
  const visit = (name: string): void => {
    if (done.has(name)) return;
    for (const needed of neededBy(name)) if (needed !== name) visit(needed);
    done.add(name);
  };
  for (const name of names) visit(name);
  return [...done];
}
