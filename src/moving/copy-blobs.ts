import { BlobMissingError, BlobStoreBusyError, type BlobStore, type ObjectId } from '../blobs/store.ts';
import type { Pace } from '../fsck/pace.ts';
import { parseDigest } from '../oci/digest.ts';
import { BlobDamagedError, type BlobTarget, type MovedBlob, shards } from './blob-target.ts';
import type { MovedDatabase, Row } from './database.ts';

/** So many objects are read from the database at once. */
const rowsAtOnce = 500;
/** How often a blob is tried while a store does not answer, and how long it waits before the second time, in ms. */
const patience = { tries: 6, leastMs: 500 };

export interface BlobCopy {
  readonly from: Pick<BlobStore, 'read' | 'size'>;
  readonly to: BlobTarget;
  readonly metadata: MovedDatabase;
  /** So many blobs are copied side by side. */
  readonly atOnce: number;
  readonly pace: Pace | undefined;
  readonly progress: BlobProgress;
  /** Whether nothing changes meanwhile, and nothing is to be there afterwards but what is copied. */
  readonly isLast: boolean;
}

/** Is told how far it has come. */
export interface BlobProgress {
  /** It is there, whether it was copied now or was there before. */
  passed(blob: MovedBlob, isCopied: boolean): void;
  /** So many bytes have been read. */
  read(bytes: number): void;
}

/** A blob that could not be copied, as it is not what it should be. */
export interface DamagedBlob extends MovedBlob {
  readonly reason: string;
}

/**
 * Copies every blob that is not there yet. Those that come or go meanwhile are for the last pass; in a snapshot, with
 * nothing changed meanwhile, all are there afterwards but those that are returned. What was collected or purged since it
 * was copied is not there any more then.
 */
export async function copyBlobs(copy: BlobCopy): Promise<readonly DamagedBlob[]> {
  const damaged: DamagedBlob[] = [];
  const running = new Set<Promise<void>>();
  const failed = Promise.withResolvers<never>();
  failed.promise.catch(() => undefined);
  try {
    for (const shard of shards()) {
      const present = await copy.to.present(shard);
      const wanted = new Set<ObjectId>();
      for await (const blob of blobsOf(copy.metadata, shard)) {
        wanted.add(blob.oid);
        if (present.has(blob.oid)) {
          copy.progress.passed(blob, false);
          continue;
        }
        while (running.size >= copy.atOnce) await Promise.race([failed.promise, ...running]);
        const one = copyOne(copy, blob)
          .then((problem) => void (problem === undefined || damaged.push(problem)))
          .catch((error: unknown) => failed.reject(error))
          .finally(() => running.delete(one));
        running.add(one);
      }
      if (copy.isLast) await copy.to.keepOnly(shard, wanted);
    }
    await Promise.race([failed.promise, Promise.all(running)]);
    return damaged;
  } finally {
    await Promise.allSettled(running);
  }
}

/** Those whose bytes must be there (I1). */
async function* blobsOf(metadata: MovedDatabase, shard: string): AsyncGenerator<MovedBlob> {
  for (let after = shard; ;) {
    const rows = await metadata.all(
      `select oid, digest, size_bytes from object
       where oid > ? and oid < ? and state in ('live', 'condemned') order by oid limit ${rowsAtOnce}`,
      [after, `${shard}g`],
    );
    for (const row of rows) yield blobOf(row);
    const last = rows.at(-1);
    if (last === undefined) return;
    after = String(last['oid']);
  }
}

function blobOf({ oid, digest: text, size_bytes: sizeBytes }: Row): MovedBlob {
  const digest = parseDigest(String(text));
  if (digest === undefined) throw new Error(`the object ${String(oid)} has no digest`);
  return { oid: String(oid), digest, sizeBytes: Number(sizeBytes) };
}

async function copyOne(copy: BlobCopy, blob: MovedBlob): Promise<DamagedBlob | undefined> {
  for (let tried = 1; ; tried++) {
    try {
      await copy.to.put(blob, readPaced(copy, blob));
      copy.progress.passed(blob, true);
      return undefined;
    } catch (error) {
      if (error instanceof BlobDamagedError) {
        // What goes by itself meanwhile is missed by nobody.
        return (await isStillHere(copy.metadata, blob)) ? { ...blob, reason: error.message } : undefined;
      }
      if (!(error instanceof BlobStoreBusyError) || tried === patience.tries) throw error;
    }
    await Bun.sleep(patience.leastMs * 2 ** (tried - 1));
  }
}

async function* readPaced({ from, pace, progress }: BlobCopy, { oid }: MovedBlob): AsyncGenerator<Uint8Array> {
  const chunks = from.read(oid);
  try {
    for await (const chunk of chunks.stream()) {
      progress.read(chunk.byteLength);
      yield chunk;
      await pace?.took(chunk.byteLength);
    }
  } catch (error) {
    throw missing(error);
  }
}

function missing(error: unknown): unknown {
  const isGone =
    error instanceof BlobMissingError || (error instanceof Error && 'code' in error && error.code === 'ENOENT');
  return isGone ? new BlobDamagedError('its bytes are missing', { cause: error }) : error;
}

/** Whether somebody may still get it; what is condemned goes, whole or not. */
async function isStillHere(metadata: MovedDatabase, { oid }: MovedBlob): Promise<boolean> {
  const rows = await metadata.all(`select 1 as found from object where oid = ? and state = 'live'`, [oid]);
  return rows.length > 0;
}
