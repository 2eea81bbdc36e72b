import { change, first, type Operation } from '../metadata/operation.ts';
import {
  addQuotaLink,
  addQuotaUsage,
  deleteQuotaBlob,
  deleteQuotaUsage,
  markQuotaRefused,
  quotaAndBlob,
  quotaStanding,
  removeQuotaLink,
  takeQuotaBytes,
  takeQuotaTags,
} from '../metadata/queries/quotas.ts';
import type { QuotaPhase } from '../metadata/schema.ts';
import type { Digest } from '../oci/digest.ts';
import type { RepositoryName, TagName } from '../oci/names.ts';
import { type Actor, anyClient } from './actor.ts';
import { recordEvent } from './events.ts';
import type { Admission, OverQuota, Quota, QuotaKind, QuotaWarning } from './quotas.ts';

// What quotas count, in the transaction that changes it: every operation that adds or removes a row of `link` or `tag`
// calls one of these. On a database that runs transactions at once, the quota's row has to be locked first of all.

const admitted: Admission = { outcome: 'admitted', warnings: [] };

/** How a quota stands in the transaction that is to change it. */
interface Standing {
  readonly number: number;
  readonly phase: QuotaPhase;
  readonly cursor_repo: string;
  readonly cursor_item: string;
  readonly bytes: number | null;
  readonly tags: number | null;
  readonly refused_bytes: number | null;
  readonly refused_tags: number | null;
}

export interface CountedBlob {
  readonly repo: RepositoryName;
  readonly digest: Digest;
  readonly sizeBytes: number;
  /** Whether it may be told from the answer that another repository of the quota has it; it may where it is not given. */
  readonly showsOthers?: boolean;
}

/** When something happens, and on whose word. */
interface Occasion {
  readonly now: number;
  readonly actor?: Actor;
}

/**
 * Counts a blob that is about to be linked to a repository, or refuses it: to be called before its link is written, and
 * as the last that may refuse. A link that is there is no news, hidden or not; a content that the quota has already is
 * never refused.
 */
export function* admitLink(quota: Quota | undefined, blob: CountedBlob, occasion: Occasion): Operation<Admission> {
  if (quota === undefined) return admitted;
  const { repo, digest, sizeBytes } = blob;
  const scope = scopeOf(quota, repo);
  const standing = yield* first(quotaAndBlob, { number: quota.number, scope, repo, digest });
  if (standing === undefined) return admitted;
  if (standing.linked !== null) return { outcome: 'admitted', warnings: warningsOf(quota, standing) };
  const added = standing.links === null ? sizeBytes : 0;
  // Who may not see what the others have is refused as if they had nothing of it.
  const isNews = standing.links === null || blob.showsOthers === false;
  const over = isNews ? overLimit(quota, standing, 'bytes', sizeBytes) : undefined;
  if (over !== undefined) {
    yield* recordRefusal(quota, standing, repo, over, occasion);
    return { outcome: 'over-quota', over };
  }
  if (isCounted(standing, 'links', repo, digest)) {
    yield* change(addQuotaLink, { quota: standing.number, scope, digest, size: sizeBytes });
    if (added > 0) yield* change(addQuotaUsage, { quota: standing.number, scope, bytes: added, tags: 0 });
  }
  return { outcome: 'admitted', warnings: yield* warnings(quota, standing, repo, { bytes: added }, occasion) };
}

/** A blob that is to be uploaded; its size may still be unknown. */
export interface BlobToCome {
  readonly digest: Digest;
  readonly sizeBytes: number | undefined;
  /** As in CountedBlob. */
  readonly showsOthers?: boolean;
}

/** Whether an upload may begin: of a blob that is known already, or of whatever it will be. Changes nothing. */
export function* admitUploadNow(
  quota: Quota | undefined,
  repo: RepositoryName,
  blob: BlobToCome | undefined,
): Operation<Admission> {
  if (quota === undefined) return admitted;
  const scope = scopeOf(quota, repo);
  if (blob === undefined) {
    const standing = yield* first(quotaStanding, { number: quota.number, scope });
    return standing === undefined ? admitted : admissionOf(quota, standing, undefined);
  }
  const { digest, sizeBytes } = blob;
  const standing = yield* first(quotaAndBlob, { number: quota.number, scope, repo, digest });
  if (standing === undefined) return admitted;
  if (standing.linked !== null || (standing.links !== null && blob.showsOthers !== false)) {
    return { outcome: 'admitted', warnings: warningsOf(quota, standing) };
  }
  return admissionOf(quota, standing, sizeBytes);
}

/** The same, where a refusal shall be remembered. */
export function* refuseUploadNow(
  quota: Quota | undefined,
  repo: RepositoryName,
  blob: BlobToCome | undefined,
  occasion: Occasion,
): Operation<Admission> {
  const admission = yield* admitUploadNow(quota, repo, blob);
  if (quota === undefined || admission.outcome === 'admitted') return admission;
  const standing = yield* first(quotaStanding, { number: quota.number, scope: scopeOf(quota, repo) });
  if (standing !== undefined) yield* recordRefusal(quota, standing, repo, admission.over, occasion);
  return admission;
}

function admissionOf(quota: Quota, standing: Standing, wanted: number | undefined): Admission {
  const over = overLimit(quota, standing, 'bytes', wanted);
  return over === undefined
    ? { outcome: 'admitted', warnings: warningsOf(quota, standing) }
    : { outcome: 'over-quota', over };
}

/** A link is gone: what no other repository of the quota links counts no more. */
export function* uncountLink(quota: Quota | undefined, repo: RepositoryName, digest: Digest): Operation<void> {
  if (quota === undefined) return;
  const scope = scopeOf(quota, repo);
  const standing = yield* first(quotaStanding, { number: quota.number, scope });
  if (standing === undefined || !isCounted(standing, 'links', repo, digest)) return;
  const { number } = standing;
  const left = yield* first(removeQuotaLink, { quota: number, scope, digest });
  if (left === undefined || left.links > 0) return;
  yield* change(deleteQuotaBlob, { quota: number, scope, digest });
  yield* change(takeQuotaBytes, { quota: number, scope, bytes: left.size_bytes });
  if (quota.isEach) yield* change(deleteQuotaUsage, { quota: number, scope, bytes: 0, tags: 0 });
}

/** Counts the tags that a push is about to add to a repository, or refuses them: none that it only moves are among them. */
export function* admitTags(
  quota: Quota | undefined,
  repo: RepositoryName,
  names: readonly TagName[],
  occasion: Occasion,
): Operation<Admission> {
  if (quota === undefined) return admitted;
  if (names.length === 0 && quota.bytes.soft === undefined && quota.tags.soft === undefined) return admitted;
  const standing = yield* first(quotaStanding, { number: quota.number, scope: scopeOf(quota, repo) });
  if (standing === undefined) return admitted;
  if (names.length === 0) return { outcome: 'admitted', warnings: warningsOf(quota, standing) };
  const over = overLimit(quota, standing, 'tags', names.length);
  if (over !== undefined) {
    yield* recordRefusal(quota, standing, repo, over, occasion);
    return { outcome: 'over-quota', over };
  }
  yield* addTags(quota, standing, repo, names);
  return { outcome: 'admitted', warnings: yield* warnings(quota, standing, repo, { tags: names.length }, occasion) };
}

/** Counts tags that come back. They are never refused: what was deleted by mistake has to be at hand. */
export function* countTags(
  quota: Quota | undefined,
  repo: RepositoryName,
  names: readonly TagName[],
  occasion: Occasion,
): Operation<void> {
  if (quota === undefined || names.length === 0) return;
  const standing = yield* first(quotaStanding, { number: quota.number, scope: scopeOf(quota, repo) });
  if (standing === undefined) return;
  yield* addTags(quota, standing, repo, names);
  yield* warnings(quota, standing, repo, { tags: names.length }, occasion);
}

/** Tags are gone, but for those that only lead to something else now. */
export function* uncountTags(
  quota: Quota | undefined,
  repo: RepositoryName,
  names: readonly TagName[],
): Operation<void> {
  if (quota === undefined || names.length === 0) return;
  const scope = scopeOf(quota, repo);
  const standing = yield* first(quotaStanding, { number: quota.number, scope });
  if (standing === undefined) return;
  const tags = names.filter((name) => isCounted(standing, 'tags', repo, name)).length;
  if (tags === 0) return;
  yield* change(takeQuotaTags, { quota: standing.number, scope, tags });
  if (quota.isEach) yield* change(deleteQuotaUsage, { quota: standing.number, scope, bytes: 0, tags: 0 });
}

function* addTags(quota: Quota, standing: Standing, repo: RepositoryName, names: readonly TagName[]): Operation<void> {
  const tags = names.filter((name) => isCounted(standing, 'tags', repo, name)).length;
  if (tags === 0) return;
  yield* change(addQuotaUsage, { quota: standing.number, scope: scopeOf(quota, repo), bytes: 0, tags });
}

/** Whose usage a repository's is part of (QuotaUsageTable). */
export function scopeOf(quota: Quota, repo: RepositoryName): RepositoryName | '' {
  return quota.isEach ? repo : '';
}

/**
 * Whether a change counts now. A count that is under way goes through the links and then the tags of its repositories, in
 * the order of their keys: what lies before it will be counted when it gets there.
 */
function isCounted(standing: Standing, phase: 'links' | 'tags', repo: string, item: string): boolean {
  switch (standing.phase) {
    case 'stale':
      return false;
    case 'complete':
      return true;
    case 'links':
    case 'tags': {
      if (standing.phase !== phase) return phase === 'links';
      const { cursor_repo: cursorRepo, cursor_item: cursorItem } = standing;
      return repo < cursorRepo || (repo === cursorRepo && item <= cursorItem);
    }
  }
}

/** Undefined where there is room, and as long as what is used has not been counted. */
function overLimit(
  quota: Quota,
  standing: Standing,
  kind: QuotaKind,
  wanted: number | undefined,
): OverQuota | undefined {
  const { hard: limit } = quota[kind];
  if (limit === undefined || standing.phase !== 'complete') return undefined;
  const used = standing[kind] ?? 0;
  const isOver = wanted === undefined ? used >= limit : used + wanted > limit;
  // Of a repository that has nothing, nothing is written down: any name can be pushed to.
  const isKnown = !quota.isEach || standing.bytes !== null;
  const isFirst = isKnown && standing[`refused_${kind}`] === null;
  return isOver ? { quota: quota.name, kind, used, limit, wanted, isFirst } : undefined;
}

/** The soft limits that are exceeded; those that are only now are written down. */
function* warnings(
  quota: Quota,
  standing: Standing,
  repo: RepositoryName,
  added: { readonly bytes?: number; readonly tags?: number },
  { now, actor = anyClient }: Occasion,
): Operation<readonly QuotaWarning[]> {
  if (quota.bytes.soft === undefined && quota.tags.soft === undefined) return [];
  const after = {
    ...standing,
    bytes: (standing.bytes ?? 0) + (added.bytes ?? 0),
    tags: (standing.tags ?? 0) + (added.tags ?? 0),
  };
  const before = new Set(warningsOf(quota, standing).map(({ kind }) => kind));
  const exceeded = warningsOf(quota, after);
  for (const { kind, soft } of exceeded) {
    if (before.has(kind)) continue;
    const reason = `the quota ${quota.name} has ${after[kind]} ${kind}, and its soft limit is ${soft}`;
    yield* recordEvent({ at: now, kind: 'quota.soft', repo, actor, reason, bytes: after.bytes });
  }
  return exceeded;
}

function warningsOf(quota: Quota, standing: Standing): readonly QuotaWarning[] {
  if (standing.phase !== 'complete') return [];
  const kinds = ['bytes', 'tags'] as const;
  return kinds.flatMap((kind) => {
    const { soft, hard } = quota[kind];
    return soft !== undefined && (standing[kind] ?? 0) > soft ? [{ quota: quota.name, kind, soft, hard }] : [];
  });
}

/** The first refusal is written down, and then none until something of the kind has gone. */
function* recordRefusal(
  quota: Quota,
  standing: Standing,
  repo: RepositoryName,
  { kind, used, limit, wanted, isFirst }: OverQuota,
  { now, actor = anyClient }: Occasion,
): Operation<void> {
  if (!isFirst) return;
  yield* change(markQuotaRefused, {
    quota: standing.number,
    scope: scopeOf(quota, repo),
    bytes: 0,
    tags: 0,
    refusedBytes: kind === 'bytes' ? now : null,
    refusedTags: kind === 'tags' ? now : null,
  });
  const more = wanted === undefined ? '' : `: there is no room for ${wanted} more`;
  const reason = `the quota ${quota.name} has ${used} ${kind}, and its hard limit is ${limit}${more}`;
  yield* recordEvent({
    at: now,
    kind: 'quota.hard',
    repo,
    actor,
    reason,
    bytes: standing.bytes ?? 0,
    result: 'refused',
  });
}
