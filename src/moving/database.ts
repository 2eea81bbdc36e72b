import type { Table } from './tables.ts';

export type Value = string | number | Uint8Array | null;
export type Row = Readonly<Record<string, Value>>;

/** A database on a connection of its own, in SQL that both kinds understand, with `?` for each parameter. */
export interface MovedDatabase extends AsyncDisposable {
  /** The number of its schema. */
  schemaNumber(): Promise<number>;
  /**
   * Connections of processes that know an older schema only, in words: they heed nothing that has come with a later one,
   * such as that changes are refused.
   */
  olderProcesses(): Promise<readonly string[]>;
  all(sql: string, parameters?: readonly Value[]): Promise<readonly Row[]>;
  run(sql: string, parameters?: readonly Value[]): Promise<void>;
  /**
   * Runs reads that all see one committed state: the last one, and with it all that was written by transactions which have
   * not seen what it has.
   */
  snapshot<T>(read: () => Promise<T>): Promise<T>;
  /** Runs writes, all of them or none. */
  transaction<T>(write: () => Promise<T>): Promise<T>;
  insert(table: Table, rows: readonly Row[]): Promise<void>;
  /** Has what it numbers itself go on behind the greatest number of the rows that it has. */
  goOnNumbering(table: Table): Promise<void>;
  /** Resolves once all that was written survives a power cut. */
  sync(): Promise<void>;
}

/** Up to `table.rowsAtOnce` rows after one of them, in the order of their key. */
export async function pageOf(
  database: MovedDatabase,
  table: Table,
  after: Row | undefined,
  condition = '',
): Promise<readonly Row[]> {
  const key = table.key.join(', ');
  const conditions = [
    ...(condition === '' ? [] : [condition]),
    ...(after === undefined ? [] : [`(${key}) > (${table.key.map(() => '?').join(', ')})`]),
  ];
  const where = conditions.length === 0 ? '' : ` where ${conditions.join(' and ')}`;
  return await database.all(
    `select ${table.columns.join(', ')} from ${table.name}${where} order by ${key} limit ${table.rowsAtOnce}`,
    after === undefined ? [] : table.key.map((column) => after[column] ?? null),
  );
}

/** What a query of one number finds; 0 where it finds nothing. */
export async function numberOf(
  database: MovedDatabase,
  sql: string,
  parameters: readonly Value[] = [],
): Promise<number> {
  const [row] = await database.all(sql, parameters);
  return Number(Object.values(row ?? {})[0] ?? 0);
}
