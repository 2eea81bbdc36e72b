import { Database } from 'bun:sqlite';
import { randomBytes } from 'node:crypto';
import { closeSync, existsSync, fsyncSync, linkSync, openSync, renameSync, rmSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { type DatabaseContents, inspectDatabase } from './database-file.ts';

/** How long a snapshot waits for another process's transaction, in ms. */
const busyTimeoutMs = 5000;

export interface SnapshotRequest {
  readonly dataDirectory: string;
  /** The file to be made. */
  readonly to: string;
  /** Whether a file that is there already is replaced. */
  readonly isReplacing: boolean;
}

export interface Snapshot {
  readonly path: string;
  readonly sizeBytes: number;
  readonly contents: DatabaseContents;
}

/** Why there is no snapshot, in words for the operator. */
export class NoSnapshotError extends Error {
  override readonly name = 'NoSnapshotError';
}

/**
 * Writes a copy of a data directory's database, of one committed state, to a file: beside a running server, which goes on
 * writing meanwhile, or without one. The file has its name once it is complete, found whole and on the disk; only its owner
 * can read it, as it has the keys by which tokens are signed.
 *
 * @throws NoSnapshotError; UnusableDatabaseError where the copy is not whole
 */
export function takeSnapshot({ dataDirectory, to, isReplacing }: SnapshotRequest): Snapshot {
  const from = join(dataDirectory, 'wherry.db');
  if (!existsSync(from))
    throw new NoSnapshotError(`there is no wherry.db in ${dataDirectory}: name its data directory with --data`);
  const path = resolve(to);
  const directory = dirname(path);
  const there = statSync(path, { throwIfNoEntry: false });
  if (there?.isDirectory() === true) throw new NoSnapshotError(`${path} is a directory: name a file in it`);
  if (there !== undefined && !isReplacing) throw new NoSnapshotError(taken(path));
  if (!existsSync(directory)) throw new NoSnapshotError(`there is no directory ${directory}`);
  const part = join(directory, `.${basename(path)}.${randomBytes(4).toString('hex')}.part`);
  try {
    // Made first: SQLite would let others read it.
    closeSync(openSync(part, 'wx', 0o600));
    copyTo(from, part);
    const contents = inspectDatabase(part);
    sync(part);
    giveName(part, path, isReplacing);
    sync(directory);
    return { path, sizeBytes: statSync(path).size, contents };
  } finally {
    rmSync(part, { force: true });
  }
}

/** One statement sees one state, and keeps nobody from writing. What is in the log is in the copy, what was deleted is not. */
function copyTo(from: string, part: string): void {
  using database = new Database(from, { readonly: true });
  database.run(`pragma busy_timeout = ${busyTimeoutMs}`);
  database.run('pragma trusted_schema = off');
  database.query<unknown, [string]>('vacuum into ?').run(part);
}

function giveName(part: string, path: string, isReplacing: boolean): void {
  if (isReplacing) return renameSync(part, path);
  try {
    linkSync(part, path);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
    throw new NoSnapshotError(taken(path), { cause: error });
  }
}

function taken(path: string): string {
  return `${path} is there already: choose another name, or replace it with --force`;
}

function sync(path: string): void {
  const descriptor = openSync(path, 'r');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
