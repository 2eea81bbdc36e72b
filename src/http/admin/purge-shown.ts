import { z } from 'zod';
import type { Consequence } from '../../registry/purges/consequences.ts';
import type { PurgePlace, PurgeRecord } from '../../registry/purges/record.ts';
import { time, timeText } from './endpoint.ts';

/** Where something that is purged is, or was; a `child`, `referrer` or `tag-about` contains none of it, and loses what held it. */
export const place = z.object({
  kind: z.enum(['object', 'link', 'manifest', 'tag', 'trashed-tag', 'upload', 'child', 'referrer', 'tag-about']),
  repository: z.string().optional(),
  digest: z.string().optional(),
  tag: z.string().optional(),
  /** Of an object or an upload. */
  id: z.string().optional(),
  /** Of a manifest. */
  type: z.enum(['image', 'index']).optional(),
  /** How an object or a manifest stands. */
  state: z.enum(['pending', 'live', 'condemned', 'dead', 'trashed']).optional(),
  /** Of a child: what listed it. */
  index: z.string().optional(),
  /** Of a referrer, and a tag by which older clients keep one. */
  subject: z.string().optional(),
  /** Of those three: what keeps it, in words; else it goes, a tag with what is purged, the others when their lease is over. */
  heldBy: z.string().optional(),
  /** Of a manifest and its tags: it is not purged itself, but needs what is. */
  breaks: z.literal(true).optional(),
  sizeBytes: z.int().optional(),
  lastPulledAt: time.optional(),
  /** Of what the history of pulls had kept, when it was purged. */
  pulls: z.int().optional(),
  /** What came of overwriting an object, where that was asked for. */
  shredded: z.object({ outcome: z.enum(['overwritten', 'gone', 'not-overwritten']), words: z.string() }).optional(),
});

export type ShownPlace = z.output<typeof place>;

/** What was done by a purge. */
export const record = z.object({
  id: z.int(),
  at: time,
  by: z.string(),
  reason: z.string(),
  digests: z.array(
    z.object({
      digest: z.string(),
      lifted: z.object({ at: time, by: z.string(), reason: z.string() }).optional(),
    }),
  ),
  /** How many places of each kind it had. */
  places: z.array(z.object({ kind: z.string(), count: z.int(), bytes: z.int() })),
  shred: z.boolean(),
  /** When the last byte was removed. */
  removedAt: time.optional(),
  /** When it was looked whether anything is left. */
  checkedAt: time.optional(),
  /** Whether the look has found anything. */
  isClean: z.boolean().optional(),
  /** Why it is not finished yet, where that is known. */
  waitsFor: z.string().optional(),
  checks: z.array(z.object({ where: z.string(), found: z.array(z.string()) })).optional(),
  responsesCut: z.int().optional(),
  /** Whether there may have been more. */
  isCutAtLeast: z.boolean().optional(),
  shredding: z.object({ isDone: z.boolean(), words: z.string() }).optional(),
  /** What is known of who pulled it before, in words. */
  pullsKnown: z.string().optional(),
  unreached: z.array(z.string()).optional(),
});

export type ShownRecord = z.output<typeof record>;

export function shownRecord({
  id,
  at,
  actor,
  digests,
  places,
  isShredding,
  removedAt,
  checkedAt,
  waitsFor,
  result,
  ...rest
}: PurgeRecord): z.input<typeof record> {
  return {
    id,
    at: timeText(at),
    by: actor,
    reason: rest.reason,
    digests: digests.map(({ digest: each, lifted }) => ({
      digest: each,
      ...(lifted !== undefined && { lifted: { ...lifted, at: timeText(lifted.at) } }),
    })),
    places: [...places],
    shred: isShredding,
    ...(removedAt !== undefined && { removedAt: timeText(removedAt) }),
    ...(checkedAt !== undefined && { checkedAt: timeText(checkedAt) }),
    ...(waitsFor !== undefined && { waitsFor }),
    ...(result !== undefined && {
      isClean: result.isLogEmptied !== false && result.checks.every(({ found }) => found.length === 0),
      checks: result.checks,
      responsesCut: result.responsesCut,
      ...(result.isCutAtLeast && { isCutAtLeast: true }),
      unreached: result.unreached,
      ...(result.pullsKnown !== undefined && { pullsKnown: result.pullsKnown }),
      ...(result.shredding !== undefined && { shredding: result.shredding }),
    }),
  };
}

/** @param purged the digests of the purge that the place is of */
export function shownPlace(
  {
    kind,
    repo,
    digest: each,
    name,
    type,
    state,
    size_bytes: sizeBytes,
    last_pulled_at: pulledAt,
    pulls,
    shredded: outcome,
    shredded_words: words,
  }: PurgePlace,
  purged: ReadonlySet<string>,
): z.input<typeof place> {
  const isOfImage = kind === 'manifest' || kind === 'tag' || kind === 'trashed-tag';
  return {
    kind,
    ...(repo !== '' && { repository: repo }),
    ...(each !== '' && { digest: each }),
    ...(name !== '' && (kind === 'tag' || kind === 'trashed-tag' ? { tag: name } : { id: name })),
    ...(type !== null && { type }),
    ...(state !== null && { state }),
    ...(isOfImage && !purged.has(each) && { breaks: true as const }),
    ...(sizeBytes !== null && { sizeBytes }),
    ...(pulledAt !== null && { lastPulledAt: timeText(pulledAt) }),
    ...(pulls !== null && { pulls }),
    ...(outcome !== null && words !== null && { shredded: { outcome, words } }),
  };
}

export function shownConsequence(consequence: Consequence): z.input<typeof place> {
  const { kind, repo: repository, digest: each, of, heldBy } = consequence;
  return {
    kind,
    repository,
    digest: each,
    ...(consequence.kind === 'tag-about' && { tag: consequence.tag }),
    ...(kind === 'child' ? { index: of } : { subject: of }),
    ...(heldBy !== undefined && { heldBy }),
  };
}
