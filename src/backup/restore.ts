import { Database } from 'bun:sqlite';
import {
  constants,
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import type { BlobStore } from '../blobs/store.ts';
import { closeToOthers } from '../stores/closed-to-others.ts';
import { syncDirectory } from '../metadata/sqlite/calls.ts';
import { lockDirectory } from '../metadata/sqlite/directory-lock.ts';
import { SqliteMetadataStore } from '../metadata/sqlite/store.ts';
import type { Actor } from '../registry/actor.ts';
import { type AdaptedDatabase, adaptRestored, markBlobsNewer } from '../registry/after-restore.ts';
import { type DatabaseContents, inspectDatabase, UnusableDatabaseError } from './database-file.ts';

export interface RestoreRequest {
  readonly dataDirectory: string;
  /** A file that `wherry backup` has made, or another copy of a database. */
  readonly from: string;
  /** Opens the blobs that it is put beside. */
  readonly openBlobs: () => Promise<
    Pick<BlobStore, 'generation' | 'setGeneration' | 'registries' | 'leaveRegistry' | 'size'>
  >;
  readonly actor: Actor;
  /** In ms since 1970. */
  readonly now: number;
}

export interface Restored {
  readonly contents: DatabaseContents;
  /** When the copy was last written to, in ms since 1970. */
  readonly copiedAt: number;
  /** Where the database is now that was there; undefined where there was none. */
  readonly asidePath: string | undefined;
  readonly adapted: AdaptedDatabase;
}

/** Why nothing was restored, in words for the operator. */
export class NotRestoredError extends Error {
  override readonly name = 'NotRestoredError';
}

/**
 * Puts a copy of a database in place, in a data directory that no server uses. The one that is there is kept under another
 * name. From here on the blobs count as newer than the database, so that nothing is removed before fsck has looked what
 * there is that it does not know. A crash leaves the one database in place or the other.
 *
 * @throws NotRestoredError
 */
export async function restore(request: RestoreRequest): Promise<Restored> {
  const { dataDirectory, openBlobs, actor, now } = request;
  const from = resolve(request.from);
  if (!existsSync(from)) throw new NotRestoredError(`there is no file ${from}`);
  mkdirSync(dataDirectory, { recursive: true, mode: 0o750 });
  const locking = lockDirectory(dataDirectory);
  if (!locking.locked) {
    const holder = locking.holder === undefined ? '' : ` (process ${locking.holder})`;
    throw new NotRestoredError(`a registry${holder} is using ${dataDirectory}: stop it first`);
  }
  const place = join(dataDirectory, 'wherry.db');
  const working = mkdtempSync(join(dataDirectory, 'restoring-'));
  try {
    const copiedAt = statSync(from).mtimeMs;
    const copy = join(working, 'wherry.db');
    const contents = copied(from, copy);
    const made = new Date(copiedAt).toISOString();
    let adapted: AdaptedDatabase;
    const metadata = SqliteMetadataStore.open(working);
    try {
      const reason = `a copy of ${made} was put in place, with ${contents.repositories} repositories and ${contents.manifests} manifests`;
      adapted = await adaptRestored(metadata, { actor, now, reason });
      // First, so that whichever database is found after a crash removes nothing.
      await markBlobsNewer(await openBlobs(), metadata);
    } finally {
      await metadata.close();
    }
    closeToOthers(copy);
    const asidePath = existsSync(place) ? putAside(place, now) : undefined;
    renameSync(copy, place);
    syncDirectory(dataDirectory);
    return { contents, copiedAt, asidePath, adapted };
  } finally {
    rmSync(working, { recursive: true, force: true });
    locking.lock[Symbol.dispose]();
  }
}

/** @throws NotRestoredError where it is not what could be put in place */
function copied(from: string, copy: string): DatabaseContents {
  try {
    // A copy that somebody has made of a registry's own files has what was last committed in its log.
    copyFileSync(from, copy, constants.COPYFILE_FICLONE);
    if (existsSync(`${from}-wal`)) copyFileSync(`${from}-wal`, `${copy}-wal`, constants.COPYFILE_FICLONE);
    return inspectDatabase(copy);
  } catch (error) {
    if (!(error instanceof UnusableDatabaseError)) throw error;
    throw new NotRestoredError(`${from} cannot be put in place: ${error.message}`, { cause: error });
  }
}

/** Gives the present database another name as well, whole; its own is that of the new one in a moment. */
function putAside(place: string, now: number): string {
  const time = new Date(now).toISOString().replaceAll(/[-:]|\.\d+/g, '');
  const aside = freeName(`${place}.before-restore-${time}`);
  linkSync(place, aside);
  // Its own log with it, under the name under which SQLite looks for it.
  if (existsSync(`${place}-wal`)) linkSync(`${place}-wal`, `${aside}-wal`);
  bringTogether(place);
  const isLogEmpty = statSync(`${aside}-wal`, { throwIfNoEntry: false })?.size === 0;
  if (isLogEmpty) rmSync(`${aside}-wal`);
  syncDirectory(dirname(place));
  // The log of another database must not lie beside the new one.
  for (const part of ['-wal', '-shm']) rmSync(place + part, { force: true });
  return aside;
}

function freeName(name: string): string {
  for (let number = 1; ; number++) {
    const tried = number === 1 ? name : `${name}-${number}`;
    if (!existsSync(tried)) return tried;
  }
}

/** Has SQLite move its log into the database, which it removes then. What is damaged is kept as it is. */
function bringTogether(place: string): void {
  try {
    using database = new Database(place, { readwrite: true, create: false });
    database.run('pragma wal_checkpoint(truncate)');
  } catch {
    // It may be for this that another one is put in its place.
  }
}
