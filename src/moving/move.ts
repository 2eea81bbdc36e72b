import { createHash } from 'node:crypto';
import type { BlobStore } from '../blobs/store.ts';
import { migrations } from '../metadata/migrations/all.ts';
import type { Pace } from '../fsck/pace.ts';
import { type BlobProgress, copyBlobs, type DamagedBlob } from './copy-blobs.ts';
import { copyMetadata } from './copy-metadata.ts';
import { type MovedDatabase, numberOf } from './database.ts';
import { type BlobTarget, type MovedBlob, shards } from './blob-target.ts';
import { type ChangeSwitch, Hold, type StateOfChanges } from './hold.ts';
import type { TargetMark } from './target-mark.ts';
import type { Tables } from './tables.ts';

/** What is moved from where to where. */
export interface Move {
  readonly from: {
    readonly metadata: MovedDatabase;
    readonly blobs: Pick<BlobStore, 'read' | 'size' | 'generation'>;
    readonly changes: ChangeSwitch;
  };
  readonly to: {
    /** Where the whole of it is, in words. */
    readonly text: string;
    /** Undefined where the metadata stays where it is. */
    readonly metadata: { readonly database: MovedDatabase; readonly mark: TargetMark } | undefined;
    /** Undefined where the blobs stay where they are. */
    readonly blobs: BlobTarget | undefined;
  };
  readonly tables: Tables;
  readonly atOnce: number;
  readonly pace: Pace | undefined;
  /** Whether it goes on although blobs are damaged where they are: they are damaged in the new place too. */
  readonly leavesDamaged: boolean;
  /** Looks at the new place before it is opened. @throws StopMoveError where it is not right */
  readonly check: () => Promise<void>;
  /** The new place is where the registry is from here on. */
  readonly arrived: () => Promise<void>;
  readonly tell: Teller;
  readonly now: () => number;
}

/** Is told what is being done, and how far it has come. */
export interface Teller {
  phase(text: string): void;
  show(progress: { readonly name: string; readonly done: number; readonly total?: number | undefined }): void;
}

export interface Moved {
  readonly blobs: number;
  readonly blobBytes: number;
  /** How many of them had been copied by an earlier try. */
  readonly blobsThereBefore: number;
  readonly rows: number;
  /** For how long changes were refused until all was there, in ms. */
  readonly pausedMs: number;
  readonly damaged: readonly DamagedBlob[];
}

/** Why it is not moved, in words for the operator. Nothing has changed where it was. */
export class StopMoveError extends Error {
  override readonly name = 'StopMoveError';
}

/**
 * Moves a registry while it serves pulls. First the blobs, which do not change once they are there, while it is pushed to as
 * ever; then changes are refused, and what has come meanwhile is copied, and the metadata, from one state, and compared. It
 * stays so: whoever pushes does it in the new place, once it is served from there. Broken off, it goes on where it was.
 *
 * @throws StopMoveError, HoldLostError, CopyDiffersError
 */
export async function move(parts: Move): Promise<Moved> {
  const { from, to, tables, tell, now } = parts;
  const there = await from.changes.state();
  // It came as far as its last step, and was broken off there.
  if (there !== undefined && isMoved(there, to)) return await arrive(parts);
  await expectMovable(parts);
  await begin(parts);
  const counting = new Counting(tell);
  if (to.blobs !== undefined) {
    tell.phase('Copying blobs, while everything is served:');
    await counting.count(from.metadata);
    expectNoneDamaged(await copyAll(parts, to.blobs, { progress: counting, isLast: false }), parts.leavesDamaged);
  }
  tell.phase('Changes are refused from here on; pulls go on.');
  const pausedAt = now();
  await using hold = await Hold.begin(from.changes, 'it is being moved');
  const moved = await from.metadata.snapshot(async () => {
    let damaged: readonly DamagedBlob[] = [];
    if (to.blobs !== undefined) {
      tell.phase('Copying the blobs that have come meanwhile:');
      counting.again();
      await counting.count(from.metadata);
      damaged = await copyAll(parts, to.blobs, { progress: counting, isLast: true });
      expectNoneDamaged(damaged, parts.leavesDamaged);
      await to.blobs.setGeneration(await generationOf(from.metadata));
      // One that has none gets it when the new place is opened.
      const identity = await identityOf(from.metadata);
      if (identity !== undefined) await to.blobs.leaveRegistry(identity);
    }
    let rows = 0;
    if (to.metadata !== undefined) {
      tell.phase('Copying the metadata, and reading it back:');
      const { database } = to.metadata;
      const total = await rowsOf(from.metadata, tables);
      const counts = await copyMetadata({
        from: from.metadata,
        to: database,
        tables,
        keepsUploads: to.blobs === undefined,
        onRows(name, count) {
          rows += count;
          tell.show({ name: `rows (${name})`, done: rows, total });
        },
      });
      rows = [...counts.values()].reduce((sum, count) => sum + count, 0);
      await database.sync();
    }
    return { ...counting.moved, rows, damaged };
  });
  tell.phase('Checking the new place:');
  await parts.check();
  // One that was started meanwhile may have taken something that is in no copy.
  await expectAllHeed(from.metadata);
  await hold.stay(reasonToStay(to), to.metadata === undefined ? undefined : to.text);
  const pausedMs = now() - pausedAt;
  await arrive(parts);
  return { ...moved, pausedMs };
}

/**
 * Why nothing is to be changed any more where the registry was. Clients are told, whom addresses of stores are no business of:
 * where blobs were moved to is known again by its hash.
 */
function reasonToStay({ text, metadata }: Move['to']): string {
  if (metadata !== undefined) return 'it was moved';
  const hash = createHash('sha256').update(text).digest('hex').slice(0, 8);
  return `its blobs were moved (${hash}): it has to be restarted with the new configuration, then wherry readonly off`;
}

function isMoved(there: StateOfChanges, to: Move['to']): boolean {
  return to.metadata === undefined ? there.reason === reasonToStay(to) : there.movedTo === to.text;
}

/** All is there. Each step can be made again. */
async function arrive({ from, to, tables, now, arrived }: Move): Promise<Moved> {
  await arrived();
  await to.metadata?.mark.remove({ now: now(), from: from.metadata, events: tables.events });
  await to.metadata?.database.sync();
  await to.blobs?.end();
  return { blobs: 0, blobBytes: 0, blobsThereBefore: 0, rows: 0, pausedMs: 0, damaged: [] };
}

async function copyAll(
  { from, atOnce, pace }: Move,
  to: BlobTarget,
  pass: { readonly progress: BlobProgress; readonly isLast: boolean },
): Promise<readonly DamagedBlob[]> {
  return await copyBlobs({ from: from.blobs, to, metadata: from.metadata, atOnce, pace, ...pass });
}

/** @throws StopMoveError */
async function expectMovable({ from, to }: Move): Promise<void> {
  const newest = migrations.at(-1)?.number ?? 0;
  const schema = await from.metadata.schemaNumber();
  if (schema !== newest) {
    throw new StopMoveError(
      `the database has schema ${schema}, and this version of wherry moves schema ${newest}: serve it once with the newer version`,
    );
  }
  await expectAllHeed(from.metadata);
  const ofBlobs = (await from.blobs.generation()) ?? 0;
  if (ofBlobs > (await generationOf(from.metadata))) {
    throw new StopMoveError('the database is older than the blobs: have wherry fsck --repair settle that first');
  }
  if (to.metadata !== undefined && !(await to.metadata.mark.isThere()))
    await expectEmpty(to.metadata.database, to.text);
  if (to.blobs !== undefined && !(await to.blobs.isBegun())) await expectNoBlobs(to.blobs, to.text);
}

/** @throws StopMoveError where a process goes on changing things that are not to be changed, as it does not know of that */
async function expectAllHeed(database: MovedDatabase): Promise<void> {
  const older = await database.olderProcesses();
  if (older.length === 0) return;
  throw new StopMoveError(
    `processes of an older version serve the registry, which do not heed that changes are refused: restart them with this version first (${older.join(', ')})`,
  );
}

/** What a registry has got that was started once is not missed by anybody. */
async function expectEmpty(database: MovedDatabase, text: string): Promise<void> {
  for (const table of ['read_only', 'repository', 'object', 'upload', 'blocked', 'purge', 'pin', 'robot']) {
    const rows = await database.all(`select 1 as found from ${table} limit 1`);
    if (rows.length === 0) continue;
    throw new StopMoveError(
      `there is a registry in the new place already (${text}), with rows in the table ${table}: choose an empty one`,
    );
  }
}

async function expectNoBlobs(blobs: BlobTarget, text: string): Promise<void> {
  for (const shard of shards()) {
    if ((await blobs.present(shard)).size > 0)
      throw new StopMoveError(`there are blobs in the new place already (${text}): choose an empty one`);
  }
}

async function begin({ to, now }: Move): Promise<void> {
  await to.metadata?.mark.set(now());
  await to.blobs?.begin();
}

function expectNoneDamaged(damaged: readonly DamagedBlob[], leavesDamaged: boolean): void {
  if (damaged.length === 0 || leavesDamaged) return;
  const named = damaged.slice(0, 20).map(({ digest, oid, reason }) => `${digest} (object ${oid}): ${reason}`);
  const more = damaged.length > named.length ? [`and ${damaged.length - named.length} more`] : [];
  throw new StopMoveError(
    [
      `${damaged.length} blobs are damaged where they are: push them again, or leave them behind with --leave-damaged`,
      ...named,
      ...more,
    ].join('\n  '),
  );
}

async function generationOf(database: MovedDatabase): Promise<number> {
  return await numberOf(database, 'select generation from store where id = 1');
}

async function identityOf(database: MovedDatabase): Promise<string | undefined> {
  const [row] = await database.all('select identity from store where id = 1');
  const identity = row?.['identity'];
  return typeof identity === 'string' ? identity : undefined;
}

async function rowsOf(database: MovedDatabase, { copied }: Tables): Promise<number> {
  let rows = 0;
  for (const { name } of copied) rows += await numberOf(database, `select count(*) from ${name}`);
  return rows;
}

/** Counts blobs as they come to be there. */
class Counting implements BlobProgress {
  readonly #tell: Teller;
  #total: number | undefined;
  #passedBlobs = 0;
  #passedBytes = 0;
  #copiedBlobs = 0;
  #before = 0;
  #isFirst = true;

  constructor(tell: Teller) {
    this.#tell = tell;
  }

  get moved() {
    return { blobs: this.#passedBlobs, blobBytes: this.#passedBytes, blobsThereBefore: this.#before };
  }

  /** Finds out how much there is. */
  async count(database: MovedDatabase): Promise<void> {
    this.#total = await numberOf(database, `select sum(bytes) from stored where state in ('live', 'condemned')`);
  }

  /** Begins another pass. */
  again(): void {
    this.#passedBlobs = 0;
    this.#passedBytes = 0;
    this.#isFirst = false;
  }

  passed({ sizeBytes }: MovedBlob, isCopied: boolean): void {
    this.#passedBlobs++;
    this.#passedBytes += sizeBytes;
    if (isCopied) this.#copiedBlobs++;
    else if (this.#isFirst) this.#before++;
    this.#tell.show({
      name: `bytes (${this.#copiedBlobs.toLocaleString('en')} blobs copied)`,
      done: this.#passedBytes,
      total: this.#total,
    });
  }

  read(): void {
    // What has been read is counted once it is there.
  }
}
