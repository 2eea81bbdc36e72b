import { change, type Operation } from '../metadata/operation.ts';
import { insertPushHistory } from '../metadata/queries/history.ts';
import type { Digest } from '../oci/digest.ts';
import type { RepositoryName, TagName } from '../oci/names.ts';
import type { Windows } from './registry.ts';

const dayMs = 86_400_000;

/** Whether it is remembered what was pushed, removed and pulled. */
export function keepsHistory({ historyMs = 0 }: Pick<Windows, 'historyMs'>): boolean {
  return historyMs > 0;
}

/** The day of a time, in days since 1970. */
export function dayOf(at: number): number {
  return Math.floor(at / dayMs);
}

/** What a tag was before something happened to it, as its row says. */
export interface TagBefore {
  readonly manifest: Digest;
  readonly pushed_at: number;
  readonly moved_at: number;
}

/** The same of a manifest. */
export interface ManifestBefore {
  readonly pushed_at: number;
  /** NULL for one that never had a tag. */
  readonly tagged_at: number | null;
}

interface About {
  readonly at: number;
  readonly repo: RepositoryName;
  readonly digest: Digest;
}

/** Remembers that a tag was pushed, or came back, in the transaction in which it was. */
export function* rememberTag({ at, repo, digest }: About, tag: TagName, before: TagBefore | undefined) {
  yield* change(insertPushHistory, {
    at,
    repo,
    tag,
    what: 'pushed',
    digest,
    was: before?.manifest ?? null,
    wasPushedAt: before?.pushed_at ?? null,
    wasTaggedAt: before?.moved_at ?? null,
    manifest: null,
  });
}

/** Remembers that a tag was removed. @param before what it led to */
export function* rememberTagGone({ at, repo }: Omit<About, 'digest'>, tag: TagName, before: TagBefore) {
  yield* change(insertPushHistory, {
    at,
    repo,
    tag,
    what: 'removed',
    digest: before.manifest,
    was: null,
    wasPushedAt: before.pushed_at,
    wasTaggedAt: before.moved_at,
    manifest: null,
  });
}

/** Remembers that a manifest was pushed by its digest, or came back. */
export function* rememberManifest(about: About, before: ManifestBefore | undefined): Operation<void> {
  yield* insertOfManifest(about, 'pushed', before, null);
}

/** Remembers that a manifest was deleted: what it was like is still in its row. */
export function* rememberManifestGone(about: About, before: ManifestBefore): Operation<void> {
  yield* insertOfManifest(about, 'removed', before, null);
}

/** What a replay needs of a manifest that is gone. */
export interface ManifestRemains {
  readonly mediaType: string;
  readonly artifactType?: string;
  readonly subject?: Digest;
  readonly children?: readonly Digest[];
  /** With their sizes in bytes. */
  readonly blobs?: readonly (readonly [Digest, number])[];
}

/** Remembers what a manifest was like that the collector takes away. */
export function* rememberRemains(
  about: About,
  before: ManifestBefore,
  { mediaType, artifactType, subject, children = [], blobs = [] }: ManifestRemains,
): Operation<void> {
  const remains = {
    mediaType,
    ...(artifactType !== undefined && { artifactType }),
    ...(subject !== undefined && { subject }),
    ...(children.length > 0 && { children }),
    ...(blobs.length > 0 && { blobs }),
  };
  yield* insertOfManifest(about, 'collected', before, JSON.stringify(remains));
}

function* insertOfManifest(
  { at, repo, digest }: About,
  what: 'pushed' | 'removed' | 'collected',
  before: ManifestBefore | undefined,
  manifest: string | null,
): Operation<void> {
  yield* change(insertPushHistory, {
    at,
    repo,
    tag: '',
    what,
    digest,
    was: null,
    wasPushedAt: before?.pushed_at ?? null,
    wasTaggedAt: before?.tagged_at ?? null,
    manifest,
  });
}
