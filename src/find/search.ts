import { all, first } from '../metadata/operation.ts';
import { liveObjectsAfter } from '../metadata/queries/find.ts';
import { liveObject } from '../metadata/queries/objects.ts';
import { storedByState } from '../metadata/queries/stored.ts';
import type { MetadataStore } from '../metadata/store.ts';
import type { Digest } from '../oci/digest.ts';
import type { Registry } from '../registry/registry.ts';
import type { Glob } from '../retention/glob.ts';
import { type BlobUses, blobUses, pagesOfRepositories } from './blob-uses.ts';
import type { LayerReader } from './layer-reader.ts';
import type { FoundEntry } from './look-into.ts';

/** Blobs that one step asks the database for. */
const blobsPerStep = 200;

/** Which blobs to look into. */
export interface SearchScope {
  /** Those that one of the repositories has that these match; all where there are none. */
  readonly repositories: readonly Glob[];
  /** These only; all where there are none. */
  readonly digests: readonly Digest[];
}

/** A blob, and what it takes, in bytes. */
export interface SearchedBlob {
  readonly digest: Digest;
  readonly sizeBytes: number;
}

export interface SearchProgress {
  readonly blobs: number;
  readonly bytes: number;
  /** Of how many; undefined where that is not known. Some come and go meanwhile. */
  readonly totalBlobs: number | undefined;
  readonly totalBytes: number | undefined;
}

/** What a search has come to. */
export interface SearchCounts {
  /** Entries found. */
  readonly found: number;
  /** Blobs that have some. */
  readonly blobsWithFound: number;
  /** Blobs that were read. */
  readonly blobs: number;
  /** What they take. */
  readonly bytes: number;
  /** Of these, how many hold something else than a tar archive, such as configs. */
  readonly noArchives: number;
  /** And how many could not be read to their ends. */
  readonly unread: number;
}

export type SearchNews =
  | { readonly hit: { readonly blob: SearchedBlob; readonly uses: BlobUses; readonly entry: FoundEntry } }
  | { readonly unread: { readonly blob: SearchedBlob; readonly reason: string } }
  | { readonly progress: SearchProgress }
  /** The last. */
  | { readonly counts: SearchCounts };

interface Candidate extends SearchedBlob {
  /** Undefined where there is no such blob. */
  readonly oid: string | undefined;
}

/**
 * Looks for entries of layers in all blobs of a registry, or some, whatever holds them: tags, the trash, or only a lease.
 * Each is read once. One that comes meanwhile may be left out; one that goes is.
 *
 * @throws ReaderEndedError
 */
export async function* search(
  registry: Pick<Registry, 'metadata'>,
  scope: SearchScope,
  reader: LayerReader,
): AsyncGenerator<SearchNews, void, undefined> {
  const total = await totalOf(registry, scope);
  const counts = { found: 0, blobsWithFound: 0, blobs: 0, bytes: 0, noArchives: 0, unread: 0 };
  for await (const { oid, digest, sizeBytes } of candidates(registry, scope)) {
    const told = { digest, sizeBytes };
    if (oid === undefined) {
      counts.unread += 1;
      yield { unread: { blob: told, reason: 'the registry has no such blob; of an image, name the layers' } };
      continue;
    }
    const before = counts.bytes;
    let uses: BlobUses | undefined;
    for await (const { found, readBytes, end } of reader.lookInto(oid)) {
      counts.bytes += readBytes;
      if (found.length > 0) uses ??= await blobUses(registry.metadata, digest);
      counts.found += found.length;
      if (uses !== undefined) for (const entry of found) yield { hit: { blob: told, uses, entry } };
      if (end?.kind === 'unread') {
        counts.unread += 1;
        yield { unread: { blob: told, reason: end.reason } };
      }
      if (end?.kind === 'no archive') {
        counts.noArchives += 1;
        // It was read no further than to find that out.
        counts.bytes = before + sizeBytes;
      }
      if (end !== undefined && end.kind !== 'gone') counts.blobs += 1;
      yield { progress: { blobs: counts.blobs, bytes: counts.bytes, ...total } };
    }
    if (uses !== undefined) counts.blobsWithFound += 1;
  }
  yield { counts };
}

async function totalOf(
  { metadata }: Pick<Registry, 'metadata'>,
  { repositories, digests }: SearchScope,
): Promise<Pick<SearchProgress, 'totalBlobs' | 'totalBytes'>> {
  if (digests.length > 0) return { totalBlobs: digests.length, totalBytes: undefined };
  if (repositories.length > 0) return { totalBlobs: undefined, totalBytes: undefined };
  const rows = await metadata.read(() => all(storedByState, {}));
  const live = rows.find(({ state }) => state === 'live');
  return { totalBlobs: live?.objects ?? 0, totalBytes: live?.bytes ?? 0 };
}

async function* candidates(
  { metadata }: Pick<Registry, 'metadata'>,
  { repositories, digests }: SearchScope,
): AsyncGenerator<Candidate, void, undefined> {
  for (const digest of new Set(digests)) {
    const row = await metadata.read(() => first(liveObject, { digest }));
    yield { digest, oid: row?.oid, sizeBytes: row?.size_bytes ?? 0 };
  }
  if (digests.length > 0) return;
  for (let after: string | undefined = ''; after !== undefined;) {
    const page = await metadata.read(() => all(liveObjectsAfter, { after: after ?? '', limit: blobsPerStep }));
    for (const { oid, live_digest: digest, size_bytes: sizeBytes } of page) {
      if (digest === null || !(await isAmong(metadata, digest, repositories))) continue;
      yield { digest, oid, sizeBytes };
    }
    after = page.length < blobsPerStep ? undefined : (page.at(-1)?.live_digest ?? undefined);
  }
}

async function isAmong(
  metadata: Pick<MetadataStore, 'read'>,
  digest: Digest,
  repositories: readonly Glob[],
): Promise<boolean> {
  if (repositories.length === 0) return true;
  for await (const page of pagesOfRepositories(metadata, digest)) {
    if (page.some((repo) => repositories.some((glob) => glob.matches(repo)))) return true;
  }
  return false;
}
