import { all, change, first, type Operation } from '../metadata/operation.ts';
import { manifestHeadByDigest } from '../metadata/queries/manifests.ts';
import {
  bringForwardManifests,
  deletePin,
  findPin,
  pinnedTagOf,
  pinsAfter,
  upsertPin,
} from '../metadata/queries/pins.ts';
import { findRepository } from '../metadata/queries/repositories.ts';
import { tagTarget } from '../metadata/queries/tags.ts';
import type { PinTable } from '../metadata/schema.ts';
import { type Digest, parseDigest } from '../oci/digest.ts';
import { parseTagName, type RepositoryName, type TagName } from '../oci/names.ts';
import type { Reference } from '../oci/reference.ts';
import type { Actor } from './actor.ts';
import { recordEvent } from './events.ts';
import type { Registry } from './registry.ts';
import { reviewRepository } from './retention-review.ts';
import { reviewManifest } from './review.ts';

/** How many reviews of a repository are brought forward when its pin goes; the others come when they were put off to. */
const broughtForward = 1000;

/** What a pin keeps: one tag or manifest of a repository, or where there is no reference, all that is in it. */
export interface PinTarget {
  readonly repo: RepositoryName;
  readonly reference: Reference | undefined;
}

export interface Pin extends PinTarget {
  readonly reason: string;
  readonly pinnedBy: string;
  /** In ms since 1970. */
  readonly pinnedAt: number;
}

export interface PinRequest extends PinTarget {
  readonly reason: string;
  readonly actor: Actor;
}

/** Nothing was changed, as a pin demands. */
export interface PinRefusal {
  readonly outcome: 'pinned';
  readonly pin: Pin;
}

export type PinOutcome = { readonly outcome: 'pinned'; readonly pin: Pin } | { readonly outcome: 'unknown' };

/**
 * Pins a repository, a tag or a manifest that there is: whatever deletes it is refused until the pin is taken away. Pinned
 * again, the newer reason counts.
 */
export async function pin(registry: Registry, { reason, actor, ...target }: PinRequest): Promise<PinOutcome> {
  const now = registry.clock.now();
  return await registry.metadata.write(function* add(): Operation<PinOutcome> {
    if (!(yield* isThere(target))) return { outcome: 'unknown' };
    yield* change(upsertPin, { ...keyOf(target), reason, pinnedBy: actor.text, now });
    yield* recordEvent({ at: now, kind: 'pinned', ...eventTarget(target), actor, reason });
    yield* reviewRepository(registry.retention, target.repo, 'narrowed', now);
    return { outcome: 'pinned', pin: { ...target, reason, pinnedBy: actor.text, pinnedAt: now } };
  });
}

/** Takes a pin away, and has what it held looked at. False where there was none. */
export async function unpin(
  registry: Registry,
  { actor, ...target }: PinTarget & { readonly actor: Actor },
): Promise<boolean> {
  const now = registry.clock.now();
  return await registry.metadata.write(
    function* remove(): Operation<boolean> {
      const key = keyOf(target);
      const pinned = yield* first(findPin, key);
      if (pinned === undefined) return false;
      yield* change(deletePin, key);
      yield* recordEvent({ at: now, kind: 'unpinned', ...eventTarget(target), actor, reason: pinned.reason });
      // A tag holds by itself what its pin held.
      if (target.reference === undefined) {
        yield* change(bringForwardManifests, { repo: target.repo, dueAt: now, limit: broughtForward });
      } else if (target.reference.kind === 'digest') {
        yield* reviewManifest(target.repo, target.reference.digest, now);
      }
      // A budget may have room for others where something need not stay any more.
      yield* reviewRepository(registry.retention, target.repo, 'narrowed', now);
      return true;
    },
    { fromReserve: true },
  );
}

/** Where a page of pins starts: after this one. */
export type PinPosition = PinTarget | undefined;

/** Some of the pins, by repository; a page shorter than `limit` is the last. */
export async function pinPage(registry: Registry, after: PinPosition, limit: number): Promise<readonly Pin[]> {
  const from = after === undefined ? { repo: '', kind: '', name: '' } : keyOf(after);
  const rows = await registry.metadata.read(() => all(pinsAfter, { ...from, limit }));
  return rows.map(pinOf);
}

/** What keeps a tag from being deleted or moved to another manifest. */
export function* pinOfTag(repo: RepositoryName, name: TagName): Operation<Pin | undefined> {
  const row = yield* first(findPin, { repo, kind: 'tag', name });
  return row === undefined ? undefined : pinOf(row);
}

export function* pinOfRepository(repo: RepositoryName): Operation<Pin | undefined> {
  const row = yield* first(findPin, { repo, kind: 'repository', name: '' });
  return row === undefined ? undefined : pinOf(row);
}

export function* pinOfManifest(repo: RepositoryName, digest: Digest): Operation<Pin | undefined> {
  const row = yield* first(findPin, { repo, kind: 'manifest', name: digest });
  return row === undefined ? undefined : pinOf(row);
}

/** What keeps a manifest from being deleted: its own pin, that of a tag which would go with it, or of the repository. */
export function* pinAgainstDelete(repo: RepositoryName, digest: Digest): Operation<Pin | undefined> {
  const own = yield* pinOfManifest(repo, digest);
  if (own !== undefined) return own;
  const ofTag = yield* first(pinnedTagOf, { repo, manifest: digest });
  return ofTag === undefined ? yield* pinOfRepository(repo) : pinOf(ofTag);
}

/** What keeps a tag from being deleted. */
export function* pinAgainstTagDelete(repo: RepositoryName, name: TagName): Operation<Pin | undefined> {
  return (yield* pinOfTag(repo, name)) ?? (yield* pinOfRepository(repo));
}

/** How a person writes what is pinned: `REPO`, `REPO:TAG` or `REPO@DIGEST`. */
export function pinTargetText({ repo, reference }: PinTarget): string {
  if (reference === undefined) return repo;
  return reference.kind === 'tag' ? `${repo}:${reference.tag}` : `${repo}@${reference.digest}`;
}

function* isThere({ repo, reference }: PinTarget): Operation<boolean> {
  if (reference === undefined) return (yield* first(findRepository, { repo })) !== undefined;
  if (reference.kind === 'tag') return (yield* first(tagTarget, { repo, name: reference.tag })) !== undefined;
  return (yield* first(manifestHeadByDigest, { repo, digest: reference.digest })) !== undefined;
}

function keyOf({ repo, reference }: PinTarget): Pick<PinTable, 'repo' | 'kind' | 'name'> {
  if (reference === undefined) return { repo, kind: 'repository', name: '' };
  return reference.kind === 'tag'
    ? { repo, kind: 'tag', name: reference.tag }
    : { repo, kind: 'manifest', name: reference.digest };
}

function eventTarget({ repo, reference }: PinTarget) {
  if (reference === undefined) return { repo };
  return reference.kind === 'tag' ? { repo, tag: reference.tag } : { repo, digest: reference.digest };
}

function pinOf({ repo, kind, name, reason, pinned_by, pinned_at }: PinTable): Pin {
  return { repo, reference: referenceOf(kind, name), reason, pinnedBy: pinned_by, pinnedAt: pinned_at };
}

function referenceOf(kind: PinTable['kind'], name: string): Reference | undefined {
  if (kind === 'repository') return undefined;
  const tag = kind === 'tag' ? parseTagName(name) : undefined;
  if (tag !== undefined) return { kind: 'tag', tag };
  const digest = parseDigest(name);
  if (digest === undefined) throw new Error(`${name} is no pin's name`);
  return { kind: 'digest', digest };
}
