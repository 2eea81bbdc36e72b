import { all, first, type Operation } from '../metadata/operation.ts';
import { eventsOfDigest, eventsOfRepository, eventsOfTag } from '../metadata/queries/events.ts';
import { manifestTimes, parentsOf } from '../metadata/queries/holds.ts';
import { purgesOfDigest } from '../metadata/queries/purges.ts';
import { trashedTagsOf } from '../metadata/queries/removals.ts';
import { findRepository } from '../metadata/queries/repositories.ts';
import { findTask } from '../metadata/queries/tasks.ts';
import { tagTarget } from '../metadata/queries/tags.ts';
import { trashedTag } from '../metadata/queries/trash.ts';
import {
  leavingObjectsOfDigest,
  linksOf,
  manifestAmong,
  manifestsOfBlob,
  objectsOfDigest,
  repositoriesAfter,
  tagsOf,
} from '../metadata/queries/usage.ts';
import type { EventTable, ObjectState, TagTrashTable } from '../metadata/schema.ts';
import type { Digest } from '../oci/digest.ts';
import type { RepositoryName, TagName } from '../oci/names.ts';
import { type Pin, pinOfManifest, pinOfRepository, pinOfTag } from '../registry/pin.ts';
import { type Purged, purgedReference } from '../registry/purges/purged.ts';
import type { Registry, Windows } from '../registry/registry.ts';
import { released, type Released } from './released.ts';
import { Standings } from './standing.ts';

/** How many events, and how many manifests that need a blob, are told at most. */
const mostTold = 20;
/** Repositories that one step asks for a manifest. */
const repositoriesPerStep = 200;

/** Something that keeps a manifest. Times are in ms since 1970. */
export type Hold =
  | { readonly by: 'tag'; readonly tag: TagName; readonly pin: Pin | undefined }
  | { readonly by: 'pin'; readonly pin: Pin }
  /** An index that lists it, or its subject; whether that is held in turn. */
  | { readonly by: 'index' | 'subject'; readonly digest: Digest; readonly isHeld: boolean }
  | { readonly by: 'trash'; readonly until: number }
  | { readonly by: 'trashed-tag'; readonly tag: TagName; readonly until: number }
  | { readonly by: 'lease'; readonly until: number }
  /** It never had a tag, and waits for one. */
  | { readonly by: 'never-tagged'; readonly until: number };

export interface ManifestExplanation {
  readonly repo: RepositoryName;
  readonly digest: Digest;
  readonly state: 'live' | 'trashed';
  readonly holds: readonly Hold[];
  /** Whether it stays until somebody takes a hold away. */
  readonly isHeld: boolean;
  /** When the collector looks at it next; undefined where it has no reason to. */
  readonly nextReviewAt: number | undefined;
  /** What would go if it were deleted, with the tags that point at it, once all windows are over. */
  readonly wouldFree: Released;
}

/** Something that happened, as the log of events has it. */
export type PastEvent = Omit<EventTable, 'id'>;

export interface RepositoryExplanation {
  readonly exists: boolean;
  readonly pin: Pin | undefined;
  /** What happened to it, the newest first. */
  readonly events: readonly PastEvent[];
}

/** What keeps a repository, and what happened to it as a whole. */
export async function explainRepository({ metadata }: Registry, repo: RepositoryName): Promise<RepositoryExplanation> {
  return await metadata.read(function* explain(): Operation<RepositoryExplanation> {
    return {
      exists: (yield* first(findRepository, { repo })) !== undefined,
      pin: yield* pinOfRepository(repo),
      events: yield* all(eventsOfRepository, { repo, limit: mostTold }),
    };
  });
}

export interface TagExplanation {
  readonly manifest: ManifestExplanation | undefined;
  readonly pin: Pin | undefined;
  /** What would go if the tag were deleted, and nothing but the tag. */
  readonly wouldFree: Released | undefined;
  /** What it led to before, and can be restored to. */
  readonly inTrash: readonly TagTrashTable[];
  /** Why it leads nowhere, where a purge has taken what it led to. */
  readonly purged: Purged | undefined;
  readonly events: readonly PastEvent[];
}

/** Where a tag leads and what keeps that; or what became of it. */
export async function explainTag(registry: Registry, repo: RepositoryName, tag: TagName): Promise<TagExplanation> {
  return await registry.metadata.read(function* explain(): Operation<TagExplanation> {
    const target = yield* first(tagTarget, { repo, name: tag });
    return {
      manifest: target === undefined ? undefined : yield* manifestExplanation(registry, repo, target.manifest),
      pin: yield* pinOfTag(repo, tag),
      wouldFree: target === undefined ? undefined : yield* released(repo, target.manifest, [{ repo, name: tag }]),
      inTrash: yield* all(trashedTag, { repo, name: tag }),
      purged: target === undefined ? yield* purgedReference(repo, { kind: 'tag', tag }) : undefined,
      events: yield* all(eventsOfTag, { repo, tag, limit: mostTold }),
    };
  });
}

export interface ManifestHistory {
  readonly manifest: ManifestExplanation | undefined;
  /** Why it is not here, where a purge has taken it. */
  readonly purged: Purged | undefined;
  readonly events: readonly PastEvent[];
}

/** What keeps a manifest; or what became of it. */
export async function explainManifest(
  registry: Registry,
  repo: RepositoryName,
  digest: Digest,
): Promise<ManifestHistory> {
  return await registry.metadata.read(function* explain(): Operation<ManifestHistory> {
    const events = yield* all(eventsOfDigest, { digest, limit: mostTold });
    const manifest = yield* manifestExplanation(registry, repo, digest);
    return {
      manifest,
      purged: manifest === undefined ? yield* purgedReference(repo, { kind: 'digest', digest }) : undefined,
      events: events.filter((event) => event.repo === repo || event.repo === null),
    };
  });
}

function* manifestExplanation(
  { windows, clock }: Registry,
  repo: RepositoryName,
  digest: Digest,
): Operation<ManifestExplanation | undefined> {
  const row = yield* first(manifestTimes, { repo, digest });
  if (row === undefined) return undefined;
  const tags = (yield* all(tagsOf, { repo, manifest: digest })).map(({ name }) => ({ repo, name }));
  const task = yield* first(findTask, { kind: 'manifest', key1: repo, key2: digest });
  return {
    repo,
    digest,
    state: row.state,
    holds: yield* holdsOf(repo, digest, clock.now(), windows),
    isHeld: yield* new Standings().isHeld(repo, digest),
    nextReviewAt: task?.due_at,
    wouldFree: yield* released(repo, digest, tags),
  };
}

/** All that keeps a manifest, where the collector's search (collector/hold.ts) ends at the first. */
function* holdsOf(repo: RepositoryName, digest: Digest, now: number, windows: Windows): Operation<readonly Hold[]> {
  const row = yield* first(manifestTimes, { repo, digest });
  if (row === undefined) return [];
  const holds: Hold[] = [];
  const standings = new Standings();
  for (const { name } of yield* all(tagsOf, { repo, manifest: digest })) {
    holds.push({ by: 'tag', tag: name, pin: yield* pinOfTag(repo, name) });
  }
  for (const pin of [yield* pinOfManifest(repo, digest), yield* pinOfRepository(repo)]) {
    if (pin !== undefined) holds.push({ by: 'pin', pin });
  }
  for (const { parent } of yield* all(parentsOf, { repo, child: digest })) {
    holds.push({ by: 'index', digest: parent, isHeld: yield* standings.isHeld(repo, parent) });
  }
  const isVisible = row.state === 'live';
  if (isVisible && row.subject !== null && (yield* first(manifestTimes, { repo, digest: row.subject })) !== undefined) {
    holds.push({ by: 'subject', digest: row.subject, isHeld: yield* standings.isHeld(repo, row.subject) });
  }
  if (row.trash_until !== null) holds.push({ by: 'trash', until: row.trash_until });
  for (const { name, purge_after } of yield* all(trashedTagsOf, { repo, manifest: digest })) {
    holds.push({ by: 'trashed-tag', tag: name, until: purge_after });
  }
  if (isVisible && row.lease_until > now) holds.push({ by: 'lease', until: row.lease_until });
  if (isVisible && row.tagged_at === null && row.released_at === null) {
    const lastUse = Math.max(row.pushed_at, row.last_pulled_at ?? 0, row.lease_until - windows.leaseMs);
    holds.push({ by: 'never-tagged', until: lastUse + windows.neverTaggedMs });
  }
  return holds;
}

/** A blob as a repository has it. */
export interface ExplainedLink {
  readonly repo: RepositoryName;
  readonly leaseUntil: number;
  /** A client deleted it here: only what is in the trash may keep it. */
  readonly isHidden: boolean;
  /** Some of the manifests that need it, visible or in the trash. */
  readonly manifests: readonly Digest[];
  readonly manifestCount: number;
}

export interface ExplainedObject {
  readonly oid: string;
  readonly state: ObjectState;
  readonly sizeBytes: number;
  /** When condemned bytes may go. */
  readonly dueAt: number | undefined;
}

/** A purge of a digest, lifted since or not. */
export interface PurgeOfDigest {
  readonly id: number;
  readonly at: number;
  readonly reason: string;
  readonly lifted_at: number | null;
}

export interface DigestExplanation {
  /** The newest first. */
  readonly purges: readonly PurgeOfDigest[];
  readonly objects: readonly ExplainedObject[];
  readonly links: readonly ExplainedLink[];
  /** What is known of manifests that have this digest. */
  readonly manifests: readonly ManifestExplanation[];
  readonly events: readonly PastEvent[];
}

/** What a digest is, wherever it is: the files and links of a blob, manifests; and what became of it. */
export async function explainDigest(registry: Registry, digest: Digest): Promise<DigestExplanation> {
  const blob = await registry.metadata.read(function* explain(): Operation<Omit<DigestExplanation, 'manifests'>> {
    const events = yield* all(eventsOfDigest, { digest, limit: mostTold });
    const objects = [...(yield* all(objectsOfDigest, { digest })), ...(yield* all(leavingObjectsOfDigest, { digest }))];
    const links: ExplainedLink[] = [];
    for (const link of yield* all(linksOf, { digest })) {
      const needing = yield* all(manifestsOfBlob, { repo: link.repo, digest });
      links.push({
        repo: link.repo,
        leaseUntil: link.lease_until,
        isHidden: link.deleted_at !== null,
        manifests: needing.slice(0, mostTold).map(({ manifest }) => manifest),
        manifestCount: needing.length,
      });
    }
    return {
      purges: yield* all(purgesOfDigest, { digest }),
      objects: objects.map(({ oid, state, size_bytes, due_at }) => ({
        oid,
        state,
        sizeBytes: size_bytes,
        dueAt: due_at ?? undefined,
      })),
      links,
      events,
    };
  });
  return { ...blob, manifests: await manifestsWith(registry, digest) };
}

/** Manifests are found by their repository: asks each, some at a time. */
async function manifestsWith(registry: Registry, digest: Digest): Promise<readonly ManifestExplanation[]> {
  const { metadata } = registry;
  const found: ManifestExplanation[] = [];
  for (let after = ''; ;) {
    const rows = await metadata.read(() => all(repositoriesAfter, { after, limit: repositoriesPerStep }));
    const repos = rows.map(({ name }) => name);
    for (const { repo } of await metadata.read(() => all(manifestAmong, { digest, repos }))) {
      const manifest = await metadata.read(() => manifestExplanation(registry, repo, digest));
      if (manifest !== undefined) found.push(manifest);
    }
    const last = repos.at(-1);
    if (last === undefined) return found;
    after = last;
  }
}
