import { algorithmOf, type Digest, DigestHasher, parseDigest } from '../oci/digest.ts';
import { imagesNeedingBlob } from './broken-images.ts';
import { keysPerPage } from './check.ts';
import type { Checkpoint } from './checkpoint.ts';
import type { Finding } from './finding.ts';
import type { Pace } from './pace.ts';
import { finds, type Records } from './records.ts';
import { BytesGoneError, type StoredBytes, UnreadableError } from './stored-bytes.ts';

export interface Rehash {
  readonly records: Records;
  readonly bytes: StoredBytes;
  readonly pace: Pace;
  readonly checkpoint: Checkpoint;
  /** The object after which to begin; empty to read all. */
  readonly after: string;
  /** Leaves what is damaged where it is. */
  readonly isTrial: boolean;
  readonly onBytes: (bytes: number) => void;
}

interface Blob {
  readonly oid: string;
  readonly digest: string;
  readonly size_bytes: number;
}

/**
 * F1, by content: reads every blob and compares it with its digest. One that differs, twice, is put into quarantine, so
 * that it is not served any more. The order is that of the object ids, which new ones may come before: those are young.
 */
export async function* rehash(reading: Rehash): AsyncGenerator<Finding> {
  const { records, checkpoint } = reading;
  let { after } = reading;
  for (;;) {
    const page = await records.all<Blob>(
      `select oid, digest, size_bytes from object where oid > ? and state = 'live' order by oid limit ?`,
      after,
      keysPerPage,
    );
    if (page.length === 0) break;
    for (const blob of page) {
      yield* look(reading, blob);
      checkpoint.passed(blob.oid);
    }
    after = page.at(-1)?.oid ?? after;
  }
  checkpoint.done();
}

async function* look(reading: Rehash, { oid, digest: text, size_bytes: sizeBytes }: Blob): AsyncGenerator<Finding> {
  const { records, bytes } = reading;
  const digest = parseDigest(text);
  if (digest === undefined) return;
  // Another size is a finding already, and keeps it from being served.
  if ((await bytes.sizeOf(oid)) !== sizeBytes) return;
  const first = await read(reading, { oid, digest, sizeBytes });
  if (first.kind === 'right' || first.kind === 'missing') return;
  const second = await read(reading, { oid, digest, sizeBytes });
  if (second.kind === 'right' || second.kind === 'missing') return;
  const isLive = async () => await finds(records, `select 1 from object where oid = ? and state = 'live'`, oid);
  if (!(await isLive())) return;

  const about = `object ${oid}`;
  const breaks = await imagesNeedingBlob(records, digest);
  if (second.kind === 'unreadable') {
    const message = `the file of ${digest} cannot be read (${second.reason})`;
    const advice = 'check the disk; once the file is moved away, pushing the blob again mends it';
    yield { code: 'F1', severity: 'loss', about, message, advice, breaks };
    return;
  }
  if (reading.isTrial) {
    const message = `the bytes of ${digest} are those of ${second.digest}`;
    const advice = 'fsck --rehash without --dry-run takes it out of service; then push the blob again';
    yield { code: 'F1', severity: 'loss', about, message, advice, breaks };
    return;
  }
  const place = await bytes.quarantine(oid, isLive);
  if (place === undefined) return;
  const message = `the bytes of ${digest} are those of ${second.digest}; they are in ${place} now and are not served`;
  const advice = 'push the blob again to any repository that has it, which mends it for all of them';
  yield { code: 'F1', severity: 'loss', about, message, advice, breaks };
}

type Read =
  | { readonly kind: 'right' }
  | { readonly kind: 'wrong'; readonly digest: Digest }
  /** Collected meanwhile, or a finding of the look at sizes. */
  | { readonly kind: 'missing' }
  | { readonly kind: 'unreadable'; readonly reason: string };

async function read(
  { bytes, pace, onBytes }: Rehash,
  { oid, digest, sizeBytes }: { readonly oid: string; readonly digest: Digest; readonly sizeBytes: number },
): Promise<Read> {
  const hasher = new DigestHasher(algorithmOf(digest));
  try {
    for await (const piece of bytes.read(oid, sizeBytes)) {
      hasher.update(piece);
      onBytes(piece.byteLength);
      await pace.took(piece.byteLength);
    }
  } catch (error) {
    if (error instanceof BytesGoneError) return { kind: 'missing' };
    if (error instanceof UnreadableError) return { kind: 'unreadable', reason: error.message };
    throw error;
  }
  const actual = hasher.digest();
  return actual === digest ? { kind: 'right' } : { kind: 'wrong', digest: actual };
}
