import { all, change, first, type Operation } from '../metadata/operation.ts';
import { deleteAnnouncedEnd } from '../metadata/queries/announced-ends.ts';
import { anyTagOf, manifestTimes } from '../metadata/queries/holds.ts';
import { trashManifest, visibleParents } from '../metadata/queries/manifests.ts';
import { addPruned, deletePrunedBefore } from '../metadata/queries/pruned-hours.ts';
import { presentChildrenOf, releaseManifest } from '../metadata/queries/removals.ts';
import { changesOf, unsettleClaimedReviews } from '../metadata/queries/retention-reviews.ts';
import { anotherTagBetween, insertTagTrash, retireTag, tagTarget } from '../metadata/queries/tags.ts';
import type { Digest } from '../oci/digest.ts';
import type { RepositoryName, TagName } from '../oci/names.ts';
import type { Actor } from './actor.ts';
import { recordEvent } from './events.ts';
import { keepsHistory, rememberManifestGone, rememberTagGone } from './history.ts';
import type { Immutability } from './immutability.ts';
import { pinAgainstTagDelete, pinOfManifest, pinOfRepository } from './pin.ts';
import { uncountTags } from './quota-usage.ts';
import type { Quota } from './quotas.ts';
import type { Registry } from './registry.ts';
import { reviewManifest } from './review.ts';

/** Things that one transaction prunes, so that no request waits long. */
export const retiredAtOnce = 50;
/** What a day is counted in, in ms. */
export const prunedHourMs = 3_600_000;
/** Hours that are remembered of what was pruned, beside the one under way. */
export const prunedHours = 24;

/** A tag, or where `tag` is undefined a manifest under none, with the times that it was judged by, in ms since 1970. */
export interface Retirable {
  readonly tag: TagName | undefined;
  readonly digest: Digest;
  /** The last push, or HEAD by somebody who may push. */
  readonly pushedAt: number;
  /** When the tag came to lead there; null for a manifest that never had one. */
  readonly taggedAt: number | null;
  /** The last pull by the tag, the digest or a child; null for never. */
  readonly pulledAt: number | null;
  /** Which rule says so, and why. */
  readonly reason: string;
  /** What its going frees, once all that holds it for a time is over, in bytes. */
  readonly freesBytes: number;
}

/** What became of something that was to go. */
export type Retirement =
  | 'pruned'
  /** It is not there any more. */
  | 'gone'
  /** The tag leads to something else, or was pushed again; or the manifest was. */
  | 'pushed'
  | 'pulled'
  | 'pinned'
  /** A rule says that it can be neither overwritten nor deleted. */
  | 'immutable'
  /** A manifest that a tag or an index holds by now. */
  | 'held'
  /** There would be no tag left that is not about something. */
  | 'last-tag';

export interface RetireRequest {
  readonly repo: RepositoryName;
  /**
   * At most `retiredAtOnce`, in the order in which they free what they are said to: after the first that stays, the
   * others would free something else, and nothing more is pruned.
   */
  readonly items: readonly Retirable[];
  readonly actor: Actor;
  /** Whether a tag stays where it is the last one: for what is not judged anew where the repository has changed. */
  readonly keepsLastTag?: boolean;
  /**
   * Whether it goes because room is needed: then it stays for no new lease. Leases that clients were given go on, and it
   * is in the trash like anything else.
   */
  readonly isForRoom?: boolean;
  /** Done first in the transaction: throws where nothing is to go after all. */
  readonly guard?: (() => Operation<void>) | undefined;
  /** As read by `changesNow` before it was judged what goes; nothing goes where that is not so any more. */
  readonly unchangedSince?: Partial<RepositoryChanges> | undefined;
  /** Asked in the transaction: whether what it was judged by is still so. Else nothing goes either. */
  readonly isStillSo?: () => Operation<boolean>;
  /** Whether other repositories link what goes: those that are being judged elsewhere then have to be judged again. */
  readonly sharesContents?: boolean;
}

export type RetireOutcome =
  /** What became of each, up to the first that stays. */
  | { readonly outcome: 'retired'; readonly retirements: readonly Retirement[] }
  /** Nothing was pruned: the repository, or what it was judged by, has changed since. */
  | { readonly outcome: 'changed' };

/**
 * T_retire: moves what retention has judged into the trash, each only if it still is what it was judged to be: what has
 * been pushed, tagged, pulled or pinned since stays. Pulls count that have only been noted in memory (R22, R24, R25).
 */
export async function retire(registry: Registry, request: RetireRequest): Promise<RetireOutcome> {
  if (request.items.length > retiredAtOnce) throw new Error('too many to be pruned at once');
  await registry.pulls.flushQuietly();
  const { clock, metadata, pulls, quotas, windows } = registry;
  const now = clock.now();
  const until = {
    trashUntil: now + windows.trashMs,
    leaseUntil: request.isForRoom === true ? 0 : now + windows.leaseMs,
  };
  return await metadata.write(
    function* retireAll(begun): Operation<RetireOutcome> {
      const { repo, items, unchangedSince = {}, isStillSo, sharesContents = false } = request;
      if (request.guard !== undefined) yield* request.guard();
      const changes = yield* changesNow(repo);
      if (changes.version !== (unchangedSince.version ?? changes.version)) return { outcome: 'changed' };
      if (changes.narrowings !== (unchangedSince.narrowings ?? changes.narrowings)) return { outcome: 'changed' };
      if (isStillSo !== undefined && !(yield* isStillSo())) return { outcome: 'changed' };
      const retiring = {
        ...request,
        ...until,
        now,
        leaseMs: windows.leaseMs,
        waiting: pulls.waitingIn(repo),
        quota: (yield* quotas.at(begun)).of(repo),
        immutability: registry.immutability,
        keepsHistory: keepsHistory(windows),
      };
      const retirements: Retirement[] = [];
      let [tags, bytes] = [0, 0];
      for (const item of items) {
        const retirement = yield* item.tag === undefined
          ? retireManifest(retiring, item)
          : retireOneTag(retiring, item, item.tag);
        retirements.push(retirement);
        if (retirement !== 'pruned') break;
        tags += item.tag === undefined ? 0 : 1;
        bytes += item.freesBytes;
      }
      if (retirements.includes('pruned')) {
        const hour = Math.floor(now / prunedHourMs);
        yield* change(addPruned, { repo, hour, tags, bytes });
        yield* change(deletePrunedBefore, { repo, hour: hour - prunedHours });
      }
      for (const digest of new Set(items.map((item) => item.digest))) {
        if (items.some((item, at) => item.digest === digest && retirements[at] === 'pruned')) {
          yield* reviewManifest(repo, digest, until.trashUntil);
        }
      }
      if (metadata.isShared && sharesContents && retirements.includes('pruned')) {
        yield* change(unsettleClaimedReviews, { repo, now });
      }
      return { outcome: 'retired', retirements };
    },
    { fromReserve: true },
  );
}

/** How often a repository under a policy has changed. */
export interface RepositoryChanges {
  /** In whatever way: what something frees may be something else then. */
  readonly version: number;
  /** So that something may stay which was to go. */
  readonly narrowings: number;
}

/** Zeros where nothing is known of it. */
export function* changesNow(repo: RepositoryName): Operation<RepositoryChanges> {
  return (yield* first(changesOf, { repo })) ?? { version: 0, narrowings: 0 };
}

interface Retiring extends RetireRequest {
  readonly now: number;
  readonly leaseMs: number;
  readonly trashUntil: number;
  readonly leaseUntil: number;
  readonly quota: Quota | undefined;
  readonly immutability: Immutability;
  readonly keepsHistory: boolean;
  /** Pulled, but only noted in memory. */
  readonly waiting: ReadonlySet<Digest>;
}

function* retireOneTag(retiring: Retiring, item: Retirable, name: TagName): Operation<Retirement> {
  const { repo, now, actor, trashUntil, leaseUntil } = retiring;
  const { digest, pushedAt, taggedAt, pulledAt } = item;
  const current = yield* first(tagTarget, { repo, name });
  if (current === undefined) return 'gone';
  if (current.manifest !== digest) return 'pushed';
  if ((yield* pinAgainstTagDelete(repo, name)) !== undefined) return 'pinned';
  if ((yield* pinOfManifest(repo, digest)) !== undefined) return 'pinned';
  if (retiring.immutability.ofTag(repo, name) !== undefined) return 'immutable';
  if (yield* isPulledSince(retiring, item)) return 'pulled';
  if (retiring.keepsLastTag === true && !(yield* hasAnotherTag(repo, name))) return 'last-tag';
  const judged = { pushedAt, taggedAt: taggedAt ?? pushedAt, pulledAt: pulledAt ?? 0 };
  const removed = yield* first(retireTag, { repo, name, manifest: digest, ...judged });
  if (removed === undefined) return 'pushed';
  if (retiring.keepsHistory) yield* rememberTagGone({ at: now, repo }, name, removed);
  yield* uncountTags(retiring.quota, repo, [name]);
  yield* change(insertTagTrash, { repo, name, manifest: digest, now, purgeAfter: trashUntil });
  yield* change(releaseManifest, { repo, digest, now, leaseUntil });
  yield* change(deleteAnnouncedEnd, { repo, name });
  const { reason, freesBytes: bytes } = item;
  yield* recordEvent({ at: now, kind: 'tag.pruned', repo, digest, tag: name, actor, reason, bytes });
  return 'pruned';
}

/** Between the names of tags that may be about a manifest: those are not counted, and may be many. */
const rangesOfNames = [
  { from: '', before: 'sha256-' },
  { from: 'sha256.', before: 'sha512-' },
  { from: 'sha512.', before: '~' },
];

function* hasAnotherTag(repo: RepositoryName, name: TagName): Operation<boolean> {
  for (const range of rangesOfNames) {
    if ((yield* first(anotherTagBetween, { repo, name, ...range })) !== undefined) return true;
  }
  return false;
}

function* retireManifest(retiring: Retiring, item: Retirable): Operation<Retirement> {
  const { repo, now, actor, trashUntil, leaseMs } = retiring;
  const { digest, pushedAt } = item;
  const row = yield* first(manifestTimes, { repo, digest });
  if (row?.state !== 'live') return 'gone';
  if ((yield* first(anyTagOf, { repo, manifest: digest })) !== undefined) return 'held';
  if ((yield* all(visibleParents, { repo, child: digest, limit: 1 })).length > 0) return 'held';
  if (row.subject !== null && (yield* first(manifestTimes, { repo, digest: row.subject })) !== undefined) return 'held';
  if ((yield* pinOfManifest(repo, digest)) !== undefined) return 'pinned';
  if ((yield* pinOfRepository(repo)) !== undefined) return 'pinned';
  if (retiring.immutability.ofRepository(repo) !== undefined) return 'immutable';
  if (row.pushed_at > pushedAt || Math.min(now, row.lease_until - leaseMs) > pushedAt) return 'pushed';
  if (yield* isPulledSince(retiring, item)) return 'pulled';
  if (retiring.keepsHistory) yield* rememberManifestGone({ at: now, repo, digest }, row);
  yield* change(trashManifest, { repo, digest, trashUntil });
  const { reason, freesBytes: bytes } = item;
  yield* recordEvent({ at: now, kind: 'manifest.pruned', repo, digest, actor, reason, bytes });
  return 'pruned';
}

/** Whether a manifest, or something that it lists, was pulled later than it was judged by. */
function* isPulledSince({ repo, waiting }: Retiring, { digest, pulledAt }: Retirable): Operation<boolean> {
  const seen = new Set([digest]);
  for (const each of seen) {
    if (waiting.has(each)) return true;
    const row = yield* first(manifestTimes, { repo, digest: each });
    if ((row?.last_pulled_at ?? 0) > (pulledAt ?? 0)) return true;
    for (const { child } of yield* all(presentChildrenOf, { repo, parent: each })) seen.add(child);
  }
  return false;
}
