import type { ObjectId } from '../blobs/store.ts';
import type { Digest } from '../oci/digest.ts';

/** A blob that is copied. */
export interface MovedBlob {
  readonly oid: ObjectId;
  readonly digest: Digest;
  readonly sizeBytes: number;
}

/** Where blobs are copied to. What has its name there is whole, verified and on the disk. */
export interface BlobTarget {
  /** Whether a copy to there has begun and is not over, so that what is there is of that one. */
  isBegun(): Promise<boolean>;
  /** Makes what is there count as of a copy that is not over. */
  begin(): Promise<void>;
  /** It is over. */
  end(): Promise<void>;
  /** The ids that are there of those which begin with two digits. */
  present(shard: string): Promise<ReadonlySet<ObjectId>>;
  /**
   * Removes whatever else is there of those which begin with two digits, with all its versions and parts.
   * Resolves once that survives a power cut, and the names of those that stay do, whoever has put them there.
   */
  keepOnly(shard: string, kept: ReadonlySet<ObjectId>): Promise<void>;
  /** @throws BlobDamagedError where what comes is not the blob: nothing is left of it */
  put(blob: MovedBlob, bytes: AsyncIterable<Uint8Array>): Promise<void>;
  setGeneration(generation: number): Promise<void>;
  /** @param id of the registry that has its blobs there from here on */
  leaveRegistry(id: string): Promise<void>;
}

/** What was read is not what has the digest. */
export class BlobDamagedError extends Error {
  override readonly name = 'BlobDamagedError';
}

/** All beginnings of ids. */
export function shards(): readonly string[] {
  return Array.from({ length: 256 }, (_, shard) => shard.toString(16).padStart(2, '0'));
}

export function isObjectId(name: string): boolean {
  return /^[0-9a-f]{32}$/.test(name);
}
