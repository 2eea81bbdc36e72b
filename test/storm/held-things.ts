import { Database } from 'bun:sqlite';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';

/**
 * What a registry holds, table by table, and as files. Whoever has deleted everything waits until each is 0: then no byte
 * is on the disk.
 */
export function heldIn(dataDirectory: string): Readonly<Record<string, number>> {
  using database = new Database(join(dataDirectory, 'wherry.db'), { readonly: true });
  database.run('pragma busy_timeout = 5000');
  const count = (rows: string): number =>
    database.query<{ n: number }, []>(`select count(*) as n from ${rows}`).get()?.n ?? 0;
  return {
    ...Object.fromEntries(tables.map((table) => [table, count(table)])),
    'open uploads': count(`upload where state = 'open'`),
    // A session that has ended well is remembered for an hour, for a client that lost the answer; it holds nothing.
    tasks: count(`task where kind <> 'upload'`),
    files: filesIn(join(dataDirectory, 'objects')),
  };
}

const tables = ['repository', 'object', 'link', 'manifest', 'manifest_blob', 'manifest_child', 'tag', 'tag_trash'];

function filesIn(directory: string): number {
  return readdirSync(directory, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).length;
}
