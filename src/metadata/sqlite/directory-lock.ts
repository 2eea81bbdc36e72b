import type { Database } from 'bun:sqlite';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { heldDatabase } from './held-database.ts';

/** How long the workers of a supervisor that was killed may take to end, in ms. They end at once where they can. */
const leftoverLimitMs = 10_000;

export type DirectoryLockResult =
  | { readonly locked: true; readonly lock: Disposable }
  | { readonly locked: false; readonly holder: string | undefined };

/**
 * Takes a data directory for this process (protocol.md, T_expire), until it ends, however that is (R36).
 *
 * Workers of an earlier supervisor that was killed may still be there for a moment; they are waited for. Once this has the
 * lock none is left, and none comes (`joinDirectory`).
 */
export function lockDirectory(directory: string, waitMs = leftoverLimitMs): DirectoryLockResult {
  const pidPath = join(directory, 'lock.pid');
  const lock = heldDatabase(join(directory, 'lock.db'), alone);
  if (lock === undefined) return { locked: false, holder: readHolder(pidPath) };
  if (!areWorkersGone(directory, waitMs)) {
    lock[Symbol.dispose]();
    return { locked: false, holder: readHolder(pidPath) };
  }
  tellHolder(pidPath);
  return { locked: true, lock };
}

/**
 * Takes a worker's part of a data directory, which its supervisor has taken by `lockDirectory`: as long as any worker
 * lives, nobody else gets the directory, also where the supervisor does not live any more. It is worth something only
 * once the supervisor is known to have lived after that: until then somebody else may have it already.
 *
 * @returns undefined where somebody else is just taking the directory
 */
export function joinDirectory(directory: string): Disposable | undefined {
  return heldDatabase(workersPath(directory), (database) => {
    database.run('pragma journal_mode = memory');
    database.run('begin');
    // Only with this it holds a reader's lock.
    database.query('select count(*) from sqlite_schema').get();
  });
}

/** To be called by who has the lock: no worker comes any more that does not find its supervisor gone. */
function areWorkersGone(directory: string, waitMs: number): boolean {
  if (!existsSync(workersPath(directory))) return true;
  const held = heldDatabase(workersPath(directory), (database) => {
    database.run(`pragma busy_timeout = ${waitMs}`);
    alone(database);
  });
  held?.[Symbol.dispose]();
  return held !== undefined;
}

function alone(database: Database): void {
  database.run('pragma journal_mode = memory');
  database.run('begin exclusive');
}

function workersPath(directory: string): string {
  return join(directory, 'workers.db');
}

/** Only for a message to the next one: a full disk, which cannot take it, keeps nobody from starting. */
function tellHolder(pidPath: string): void {
  try {
    writeFileSync(pidPath, `${process.pid}\n`);
  } catch {
    // The message will do without.
  }
}

function readHolder(pidPath: string): string | undefined {
  try {
    const holder = readFileSync(pidPath, 'utf8').trim();
    return holder === '' ? undefined : holder;
  } catch {
    return undefined;
  }
}
