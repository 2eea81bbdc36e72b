import { all, first, type Operation } from '../metadata/operation.ts';
import { linkedBlobsAfter, linksOf, objectsAfter } from '../metadata/queries/usage.ts';
import { findRepository, listRepositories } from '../metadata/queries/repositories.ts';
import { listTags, tagTarget } from '../metadata/queries/tags.ts';
import type { Digest } from '../oci/digest.ts';
import { afterAllRepositories, type RepositoryName, type TagName } from '../oci/names.ts';
import type { PageRequest } from '../registry/listing.ts';
import type { Registry } from '../registry/registry.ts';
import { released } from './released.ts';
import { Standings } from './standing.ts';

/** Rows that one step reads, so that no request waits long. */
const rowsPerStep = 200;

/** Is told how many things have been counted. */
export type OnProgress = (progress: { readonly name: string; readonly done: number }) => void;

/** Bytes of blobs in files; those of manifests lie in the database. */
export interface RegistryUsage {
  /** What the repositories would take if none shared anything with another. */
  readonly logicalBytes: number;
  /** Of that, what they do not take because they share it. */
  readonly sharedBytes: number;
  /** Held by tags and pins: logical less shared. */
  readonly heldBytes: number;
  /** Only held by what was deleted and can be restored. */
  readonly trashBytes: number;
  /** Held by nothing but a lease or another window that is not over. */
  readonly waitingBytes: number;
  /** Condemned or dead: on the disk, but out of reach. */
  readonly toReclaimBytes: number;
  /** What has come of uploads under way. */
  readonly uploadBytes: number;
  /** The sum of held, trash, waiting, to reclaim and uploads. */
  readonly totalBytes: number;
  /** What the files of all of these take in truth. */
  readonly onDiskBytes: number;
}

/** Adds up the whole registry, in steps: what changes meanwhile may be counted as it was or as it is. */
export async function registryUsage(
  { metadata, blobs }: Registry,
  onProgress: OnProgress = () => undefined,
): Promise<RegistryUsage> {
  const sums = { logical: 0, held: 0, trash: 0, waiting: 0, toReclaim: 0, uploads: 0, onDisk: 0 };
  let done = 0;
  for (let after = ''; ;) {
    const objects = await metadata.read(() => objectsAs(after));
    for (const { oid, part, sizeBytes, heldLinks } of objects) {
      const onDisk = (await blobs.size(oid)) ?? 0;
      sums.onDisk += onDisk;
      // Nobody has measured what is being uploaded, or what was dropped as a copy.
      sums[part] += sizeBytes ?? onDisk;
      sums.logical += heldLinks * (sizeBytes ?? 0);
    }
    const last = objects.at(-1);
    if (last === undefined) break;
    after = last.oid;
    done += objects.length;
    onProgress({ name: 'blobs', done });
  }
  return {
    logicalBytes: sums.logical,
    sharedBytes: sums.logical - sums.held,
    heldBytes: sums.held,
    trashBytes: sums.trash,
    waitingBytes: sums.waiting,
    toReclaimBytes: sums.toReclaim,
    uploadBytes: sums.uploads,
    totalBytes: sums.held + sums.trash + sums.waiting + sums.toReclaim + sums.uploads,
    onDiskBytes: sums.onDisk,
  };
}

interface CountedObject {
  readonly oid: string;
  readonly part: 'held' | 'trash' | 'waiting' | 'toReclaim' | 'uploads';
  /** Undefined where it counts with what its file has. */
  readonly sizeBytes: number | undefined;
  /** How many repositories hold it. */
  readonly heldLinks: number;
}

function* objectsAs(after: string): Operation<readonly CountedObject[]> {
  const standings = new Standings();
  const counted: CountedObject[] = [];
  const rows = yield* all(objectsAfter, { after, limit: rowsPerStep });
  for (const { oid, digest, state, size_bytes: sizeBytes } of rows) {
    switch (state) {
      case 'pending':
        counted.push({ oid, part: 'uploads', sizeBytes: undefined, heldLinks: 0 });
        break;
      case 'condemned':
      case 'dead':
        counted.push({ oid, part: 'toReclaim', sizeBytes: undefined, heldLinks: 0 });
        break;
      case 'live':
        counted.push({ oid, sizeBytes, ...(yield* liveObjectAs(standings, digest)) });
    }
  }
  return counted;
}

function* liveObjectAs(
  standings: Standings,
  digest: Digest | null,
): Operation<Pick<CountedObject, 'part' | 'heldLinks'>> {
  let heldLinks = 0;
  let isInTrash = false;
  for (const { repo } of digest === null ? [] : yield* all(linksOf, { digest })) {
    if (digest === null) continue;
    const standing = yield* standings.ofLink(repo, digest);
    if (standing === 'held') heldLinks++;
    if (standing === 'trash') isInTrash = true;
  }
  if (heldLinks > 0) return { part: 'held', heldLinks };
  return { part: isInTrash ? 'trash' : 'waiting', heldLinks };
}

export interface RepositoryUsage {
  readonly repo: RepositoryName;
  /** All that its tags and pins hold, each blob counted once: shared and unique. */
  readonly logicalBytes: number;
  /** Other repositories hold it too. */
  readonly sharedBytes: number;
  /** What deleting the repository would free. */
  readonly uniqueBytes: number;
  /** Only held by what was deleted here and can be restored. */
  readonly trashBytes: number;
  /** Held by nothing but a lease or another window that is not over. */
  readonly waitingBytes: number;
}

/** Adds up a repository, in steps; undefined where there is none. */
export async function repositoryUsage(
  { metadata }: Registry,
  repo: RepositoryName,
  onProgress: OnProgress = () => undefined,
): Promise<RepositoryUsage | undefined> {
  if ((await metadata.read(() => first(findRepository, { repo }))) === undefined) return undefined;
  const sums = { shared: 0, unique: 0, trash: 0, waiting: 0 };
  let done = 0;
  for (let after = ''; ;) {
    const blobs = await metadata.read(() => blobsAs(repo, after));
    for (const { part, sizeBytes } of blobs) if (part !== 'elsewhere') sums[part] += sizeBytes;
    const last = blobs.at(-1);
    if (last === undefined) break;
    after = last.digest;
    done += blobs.length;
    onProgress({ name: 'blobs', done });
  }
  return {
    repo,
    logicalBytes: sums.shared + sums.unique,
    sharedBytes: sums.shared,
    uniqueBytes: sums.unique,
    trashBytes: sums.trash,
    waitingBytes: sums.waiting,
  };
}

interface CountedBlob {
  readonly digest: Digest;
  readonly part: 'shared' | 'unique' | 'trash' | 'waiting' | 'elsewhere';
  readonly sizeBytes: number;
}

function* blobsAs(repo: RepositoryName, after: string): Operation<readonly CountedBlob[]> {
  const standings = new Standings();
  const counted: CountedBlob[] = [];
  for (const { digest, size_bytes: sizeBytes } of yield* all(linkedBlobsAfter, { repo, after, limit: rowsPerStep })) {
    const isHeldElsewhere = yield* standings.isBlobHeld(digest, repo);
    const standing = yield* standings.ofLink(repo, digest);
    if (standing === 'held') counted.push({ digest, sizeBytes, part: isHeldElsewhere ? 'shared' : 'unique' });
    else counted.push({ digest, sizeBytes, part: isHeldElsewhere ? 'elsewhere' : standing });
  }
  return counted;
}

export interface TagUsage {
  readonly repo: RepositoryName;
  readonly tag: TagName;
  /** All that it holds: its image, with its children and referrers, each blob counted once: shared and unique. */
  readonly logicalBytes: number;
  /** Something else holds it too. */
  readonly sharedBytes: number;
  /** What deleting the tag would free. */
  readonly uniqueBytes: number;
}

/** Undefined where there is no such tag. */
export async function tagUsage(
  { metadata }: Registry,
  repo: RepositoryName,
  tag: TagName,
): Promise<TagUsage | undefined> {
  return await metadata.read(() => usageOfTag(repo, tag));
}

function* usageOfTag(repo: RepositoryName, tag: TagName): Operation<TagUsage | undefined> {
  const target = yield* first(tagTarget, { repo, name: tag });
  if (target === undefined) return undefined;
  const { logicalBytes, uniqueBytes } = yield* released(repo, target.manifest, [{ repo, name: tag }]);
  return { repo, tag, logicalBytes, sharedBytes: logicalBytes - uniqueBytes, uniqueBytes };
}

/** A page of the repositories that a client can see something in. */
export async function repositoryUsages(registry: Registry, page: PageRequest): Promise<readonly RepositoryUsage[]> {
  const rows = await registry.metadata.read(() =>
    all(listRepositories, { last: page.last, before: afterAllRepositories, limit: page.limit }),
  );
  const usages: RepositoryUsage[] = [];
  for (const { name } of rows) usages.push(...[(await repositoryUsage(registry, name)) ?? []].flat());
  return usages;
}

/** A page of the tags of a repository. */
export async function tagUsages(
  registry: Registry,
  repo: RepositoryName,
  page: PageRequest,
): Promise<readonly TagUsage[]> {
  const rows = await registry.metadata.read(() => all(listTags, { repo, last: page.last, limit: page.limit }));
  const usages: TagUsage[] = [];
  for (const { name } of rows) usages.push(...[(await tagUsage(registry, repo, name)) ?? []].flat());
  return usages;
}
