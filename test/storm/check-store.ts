import { Database } from 'bun:sqlite';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

/**
 * What is wrong between the database and the disk of a registry that does not run: references that lead nowhere, blobs
 * without their bytes, files without an owner. The storm's one place where a data directory is judged.
 */
export function checkStore(dataDirectory: string): readonly string[] {
  using database = openReadOnly(dataDirectory);
  const problems: string[] = [];
  for (const broken of database.query<{ table: string }, []>('pragma foreign_key_check').all()) {
    problems.push(`a row of ${broken.table} refers to what is not there`);
  }
  const files = objectFiles(dataDirectory);
  const objects = database.query<ObjectRow, []>('select oid, state, size_bytes from object').all();
  for (const { oid, state, size_bytes } of objects) {
    const found = files.get(oid);
    const mustBeThere = state === 'live' || state === 'condemned';
    if (mustBeThere && found !== size_bytes)
      problems.push(`${oid} is ${state}, of ${size_bytes} bytes; its file has ${found}`);
    files.delete(oid);
  }
  for (const name of files.keys()) problems.push(`the file ${name} has no owner`);
  return problems;
}

/** What a registry holds, table by table, and as files; whoever has deleted everything waits until each is 0. */
export function heldIn(dataDirectory: string): Readonly<Record<string, number>> {
  using database = openReadOnly(dataDirectory);
  const count = (rows: string): number =>
    database.query<{ n: number }, []>(`select count(*) as n from ${rows}`).get()?.n ?? 0;
  return {
    ...Object.fromEntries(tables.map((table) => [table, count(table)])),
    'open uploads': count(`upload where state = 'open'`),
    // A session that has ended well is remembered for an hour, for a client that lost the answer; it holds nothing.
    tasks: count(`task where kind <> 'upload'`),
    files: objectFiles(dataDirectory).size,
  };
}

const tables = ['repository', 'object', 'link', 'manifest', 'manifest_blob', 'manifest_child', 'tag', 'tag_trash'];

interface ObjectRow {
  readonly oid: string;
  readonly state: string;
  readonly size_bytes: number;
}

/** The files of blobs, and how many bytes each has. */
function objectFiles(dataDirectory: string): Map<string, number> {
  const root = join(dataDirectory, 'objects');
  const files = new Map<string, number>();
  for (const entry of readdirSync(root, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const size = statSync(join(entry.parentPath, entry.name), { throwIfNoEntry: false })?.size;
    // While the registry runs, a file may go between the two.
    if (size !== undefined) files.set(entry.name, size);
  }
  return files;
}

function openReadOnly(dataDirectory: string): Database {
  const database = new Database(join(dataDirectory, 'wherry.db'), { readonly: true });
  database.run('pragma busy_timeout = 5000');
  return database;
}
