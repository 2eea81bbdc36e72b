import { hasNul, withoutNul } from '../nul.ts';
import { numberOf, pageOf, type MovedDatabase, type Row, type Value } from './database.ts';
import type { Table, Tables } from './tables.ts';

/** What a table holds: how many rows, and a hash of all of them in the order of their key. */
export interface TableContents {
  readonly rows: number;
  readonly hash: string;
}

export interface MetadataCopy {
  /** In a snapshot. */
  readonly from: MovedDatabase;
  readonly to: MovedDatabase;
  readonly tables: Tables;
  /** Whether uploads that are under way go on there: where their bytes are that they have brought. */
  readonly keepsUploads: boolean;
  readonly onRows: (table: string, count: number) => void;
}

/** The copy is not what it was copied from. */
export class CopyDiffersError extends Error {
  override readonly name = 'CopyDiffersError';
}

/** Rows that stay behind where uploads do not go on. */
const ofUploads: Readonly<Record<string, string>> = {
  object: `state <> 'pending'`,
  upload: 'oid is null',
  task: `not (kind = 'upload' and exists (select 1 from upload where upload.id = task.key1 and upload.oid is not null))
    and not (kind = 'object' and exists (select 1 from object where object.oid = task.key1 and object.state = 'pending'))`,
};

/**
 * Copies all rows, table after table in the order of their keys, in place of those that are there, and reads them back.
 * Numbers and times stay what they are. Which processes serve the registry, and what they have claimed, is of the old
 * place alone.
 *
 * @returns how many rows each table has
 * @throws CopyDiffersError
 */
export async function copyMetadata({
  from,
  to,
  tables,
  keepsUploads,
  onRows,
}: MetadataCopy): Promise<ReadonlyMap<string, number>> {
  await to.transaction(async () => {
    for (const { name } of tables.emptied.toReversed()) await to.run(`delete from ${name}`);
  });
  const counts = new Map<string, number>();
  for (const table of tables.copied) {
    const condition = keepsUploads ? '' : (ofUploads[table.name] ?? '');
    const copied = await copyTable(table, { from, to, condition, onRows });
    const found = await contentsOf(to, table);
    if (found.rows !== copied.rows || found.hash !== copied.hash) {
      throw new CopyDiffersError(
        `the table ${table.name} has ${copied.rows} rows, its copy ${found.rows}, or they are others`,
      );
    }
    await to.goOnNumbering(table);
    counts.set(table.name, copied.rows);
  }
  await to.transaction(() => countStored(to));
  return counts;
}

async function copyTable(
  table: Table,
  { from, to, condition, onRows }: Pick<MetadataCopy, 'from' | 'to' | 'onRows'> & { readonly condition: string },
): Promise<TableContents> {
  const contents = new ContentsHasher(table);
  for (let after: Row | undefined; ;) {
    const rows = (await pageOf(from, table, after, condition)).map((row) => copiedRow(table, row));
    if (rows.length === 0) return contents.end();
    for (const row of rows) contents.add(row);
    await to.transaction(() => to.insert(table, rows));
    onRows(table.name, rows.length);
    after = rows.at(-1);
  }
}

/**
 * A row as it is copied. SQLite keeps NUL characters in texts, as in what somebody gave as a reason; PostgreSQL does not:
 * each becomes U+FFFD.
 */
export function copiedRow({ emptied }: Table, row: Row): Row {
  const isOdd = (value: Value): value is string => typeof value === 'string' && hasNul(value);
  if (emptied.length === 0 && !Object.values(row).some(isOdd)) return row;
  const copied: Record<string, Value> = {};
  for (const [column, value] of Object.entries(row)) copied[column] = isOdd(value) ? withoutNul(value) : value;
  for (const column of emptied) copied[column] = null;
  return copied;
}

async function contentsOf(database: MovedDatabase, table: Table): Promise<TableContents> {
  const contents = new ContentsHasher(table);
  for (let after: Row | undefined; ;) {
    const rows = await pageOf(database, table, after);
    if (rows.length === 0) return contents.end();
    for (const row of rows) contents.add(row);
    after = rows.at(-1);
  }
}

/** What triggers have counted while rows came is not what there is: uploads come with what they have. */
async function countStored(to: MovedDatabase): Promise<void> {
  await to.run('delete from stored');
  for (const state of ['pending', 'live', 'condemned', 'dead']) {
    const objects = await numberOf(to, 'select count(*) from object where state = ?', [state]);
    const bytes = await numberOf(to, 'select coalesce(sum(size_bytes), 0) from object where state = ?', [state]);
    const coming =
      state === 'pending'
        ? await numberOf(to, 'select coalesce(sum(offset_bytes), 0) from upload where oid is not null')
        : 0;
    await to.run('insert into stored (state, shard, objects, bytes) values (?, 0, ?, ?)', [
      state,
      objects,
      bytes + coming,
    ]);
  }
}

/** Hashes rows so that no two different ones come out the same. */
class ContentsHasher {
  readonly #columns: readonly string[];
  readonly #hasher = new Bun.CryptoHasher('sha256');
  #rows = 0;

  constructor({ columns }: Table) {
    this.#columns = columns;
  }

  add(row: Row): void {
    this.#rows++;
    let text = '';
    for (const column of this.#columns) text += textOf(row[column] ?? null);
    this.#hasher.update(text);
  }

  end(): TableContents {
    return { rows: this.#rows, hash: this.#hasher.digest('hex') };
  }
}

/** Bytes by their hash, everything else by itself with its length. */
function textOf(value: Value): string {
  if (value instanceof Uint8Array) return `bytes ${Bun.CryptoHasher.hash('sha256', value, 'hex')} `;
  const text = String(value);
  return `${value === null ? 'null' : typeof value} ${text.length} ${text} `;
}
