import { createHash } from 'node:crypto';
import { existsSync, mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { bucketOf, rememberMovedBlobs } from '../stores/blobs-place.ts';
import { DirectoryBlobStore } from '../blobs/directory/store.ts';
import { closeToOthers } from '../stores/closed-to-others.ts';
import { lockDirectory } from '../metadata/sqlite/directory-lock.ts';
import { SqliteMetadataStore } from '../metadata/sqlite/store.ts';
import type { BlobTarget } from './blob-target.ts';
import type { MovedDatabase } from './database.ts';
import { DirectoryTarget } from './directory-target.ts';
import { StopMoveError } from './move.ts';
import { type PlaceConfig, placeOf, placeText } from './place.ts';
import { SqliteDatabase, syncDatabaseFile } from './sqlite-database.ts';
import { TargetMark } from './target-mark.ts';

/**
 * The registry's database where it is, to be read beside whoever serves it.
 * @throws StopMoveError where it is not there
 */
export async function openSource({ data, metadata }: PlaceConfig): Promise<MovedDatabase> {
  if (metadata.kind === 'sqlite') {
    const directory = resolve(data);
    if (existsSync(join(directory, 'wherry.db'))) return SqliteDatabase.openForReading(directory);
    throw new StopMoveError(
      `there is no database in ${directory}: say with --config or --metadata where the registry has its metadata now`,
    );
  }
  const { PostgresDatabase } = await import('./postgres-database.ts');
  return await PostgresDatabase.open(metadata.url);
}

/** The new place, as far as something is moved there. */
export interface Target extends AsyncDisposable {
  readonly text: string;
  readonly metadata: { readonly database: MovedDatabase; readonly mark: TargetMark } | undefined;
  readonly blobs: BlobTarget | undefined;
  /** Writes down where the blobs are from here on. */
  arrived(): Promise<void>;
}

/** By which a move is known again where it has begun. */
function tokenOf(from: PlaceConfig, to: PlaceConfig): string {
  const text = `${placeText(placeOf(from))}\n${placeText(placeOf(to))}`;
  return createHash('sha256').update(text).digest('hex').slice(0, 32);
}

/**
 * Opens what changes, and makes tables and directories there.
 * @throws StopMoveError where nothing changes, or somebody else uses the new place
 */
export async function openTarget(from: PlaceConfig, to: PlaceConfig): Promise<Target> {
  const [was, is] = [placeOf(from), placeOf(to)];
  if (placeText(was) === placeText(is)) {
    throw new StopMoveError(
      `the new place is the old one (${placeText(was)}): say with --to-config, --to-metadata, --to-blobs or --to-data what is to change`,
    );
  }
  const opened = new AsyncDisposableStack();
  try {
    mkdirSync(resolve(to.data), { recursive: true, mode: 0o750 });
    const database = was.metadata === is.metadata ? undefined : await openDatabase(to, opened);
    const metadata = database && { database, mark: new TargetMark(database, tokenOf(from, to)) };
    const blobs = was.blobs === is.blobs ? undefined : await openBlobTarget(to);
    const closing = opened.move();
    return {
      text: placeText(is),
      metadata,
      blobs,
      async arrived() {
        if (blobs !== undefined) rememberMovedBlobs(resolve(to.data), to.blobs);
      },
      [Symbol.asyncDispose]: async () => await closing.disposeAsync(),
    };
  } catch (error) {
    await opened.disposeAsync();
    throw error;
  }
}

async function openDatabase(to: PlaceConfig, opened: AsyncDisposableStack): Promise<MovedDatabase> {
  if (to.metadata.kind === 'sqlite') return await openSqlite(resolve(to.data), opened);
  const { PostgresMetadataStore } = await import('../metadata/postgres/store.ts');
  const { PostgresDatabase } = await import('./postgres-database.ts');
  await (await PostgresMetadataStore.open(to.metadata.url, { connections: 1 })).close();
  const database = opened.use(await PostgresDatabase.open(to.metadata.url));
  if (!(await database.lock()))
    throw new StopMoveError(`another wherry migrate is moving something to ${placeOf(to).metadata}`);
  return database;
}

async function openSqlite(directory: string, opened: AsyncDisposableStack): Promise<MovedDatabase> {
  const locking = lockDirectory(directory);
  if (!locking.locked) {
    const holder = locking.holder === undefined ? '' : ` (process ${locking.holder})`;
    throw new StopMoveError(`another wherry${holder} is using ${directory}: stop it first`);
  }
  opened.use(locking.lock);
  await SqliteMetadataStore.open(directory).close();
  closeToOthers(join(directory, 'wherry.db'));
  opened.defer(() => syncDatabaseFile(directory));
  return opened.use(SqliteDatabase.openForWriting(directory));
}

async function openBlobTarget({ data, ...place }: PlaceConfig): Promise<BlobTarget> {
  const settings = bucketOf(place);
  if (settings === undefined) return new DirectoryTarget(resolve(data), await DirectoryBlobStore.open(resolve(data)));
  const { S3BlobStore } = await import('../blobs/s3/store.ts');
  const { BucketTarget } = await import('./bucket-target.ts');
  return new BucketTarget(settings, await S3BlobStore.open(settings));
}
