import { z } from 'zod';
import { digestGrammar, parseDigest } from '../../oci/digest.ts';
import { parseTarget, type Target, targetPattern } from '../../oci/target.ts';
import { pinTargetText, type Pin } from '../../registry/pin.ts';
import type { Purged } from '../../registry/purges/purged.ts';
import {
  explainDigest,
  explainManifest,
  explainRepository,
  explainTag,
  type Hold,
  type ManifestExplanation,
  type PastEvent,
} from '../../usage/explain.ts';
import type { Released } from '../../usage/released.ts';
import { type AdminCall, endpoint, nothing, type Outcome, time, timeText } from './endpoint.ts';

const explained = z
  .string()
  .meta({
    description: 'REPO, REPO:TAG, REPO@DIGEST, or a DIGEST alone: of a blob, or of manifests anywhere',
    pattern: `${targetPattern}|^(${digestGrammar})$`,
  })
  .transform((text, context) => {
    const digest = parseDigest(text);
    if (digest !== undefined) return { digest, named: undefined };
    const parsed = parseTarget(text);
    if (parsed.ok) return { digest: undefined, named: parsed.target };
    context.addIssue({ code: 'custom', message: parsed.message });
    return z.NEVER;
  });

const wouldFree = z.object({
  bytes: z.number().int(),
  blobs: z.number().int(),
  manifests: z.number().int(),
  manifestBytes: z.number().int(),
});

const hold = z.object({
  by: z.enum(['tag', 'pin', 'index', 'subject', 'trash', 'trashed-tag', 'lease', 'never-tagged']),
  /** The tag, the digest or the pin. */
  name: z.string().optional(),
  /** Of a pin. */
  reason: z.string().optional(),
  /** Whether an index or a subject is held in turn. */
  held: z.boolean().optional(),
  until: time.optional(),
});

const manifest = z.object({
  repository: z.string(),
  digest: z.string(),
  state: z.enum(['live', 'trashed']),
  /** Whether it stays until somebody takes a hold away. */
  held: z.boolean(),
  holds: z.array(hold),
  nextReview: time.optional(),
  /** What deleting it with its tags would free, once all windows are over, and pins are gone that forbid it. */
  wouldFree,
});

const event = z.object({
  at: time,
  kind: z.string(),
  repository: z.string().optional(),
  tag: z.string().optional(),
  digest: z.string().optional(),
  actor: z.string(),
  reason: z.string().optional(),
  bytes: z.number().int().optional(),
});

const explanation = z.object({
  target: z.string(),
  kind: z.enum(['repository', 'tag', 'manifest', 'digest']),
  exists: z.boolean(),
  /** Pins of the tag or the repository itself. */
  pin: z.object({ target: z.string(), reason: z.string(), pinnedBy: z.string(), pinnedAt: time }).optional(),
  /** The rule by which the tag can be neither overwritten nor deleted, or nothing of the repository deleted. */
  immutable: z.object({ rule: z.string() }).optional(),
  manifests: z.array(manifest),
  /** What deleting the tag alone would free. */
  wouldFree: wouldFree.optional(),
  /** What the tag led to before, and can be restored to. */
  inTrash: z.array(z.object({ digest: z.string(), until: time })).optional(),
  /** Where the bytes of a blob are, and how they stand. */
  objects: z
    .array(z.object({ id: z.string(), state: z.string(), sizeBytes: z.number().int(), dueAt: time.optional() }))
    .optional(),
  links: z
    .array(
      z.object({
        repository: z.string(),
        leaseUntil: time,
        deleted: z.boolean(),
        manifests: z.array(z.string()),
        manifestCount: z.number().int(),
      }),
    )
    .optional(),
  /** The purges that have taken it, or what it led to, the newest first; `keptOut` until that is lifted. */
  purges: z
    .array(z.object({ id: z.int().optional(), at: time, reason: z.string(), digest: z.string(), keptOut: z.boolean() }))
    .optional(),
  /** What happened to it, the newest first. */
  events: z.array(event),
});

type Explanation = z.input<typeof explanation>;

export const explain = endpoint({
  method: 'GET',
  path: '/explain',
  action: 'admin',
  summary:
    'What keeps a thing and what deleting it would free; for a thing that is gone when it went, why, and on whose word.',
  query: z.strictObject({ target: explained }),
  body: nothing,
  answer: explanation,
  async handle(call, { query: { target } }): Promise<Outcome<Explanation>> {
    const { digest, named } = target;
    if (named !== undefined) return { answer: await ofTarget(call, named) };
    const found = await explainDigest(call.registry, digest);
    return {
      answer: {
        target: digest,
        kind: 'digest',
        exists: found.objects.length > 0 || found.manifests.length > 0,
        manifests: found.manifests.map(shownManifest),
        objects: found.objects.map(({ oid, state, sizeBytes, dueAt }) => ({
          id: oid,
          state,
          sizeBytes,
          ...(dueAt !== undefined && { dueAt: timeText(dueAt) }),
        })),
        links: found.links.map(({ repo, leaseUntil, isHidden, manifests, manifestCount }) => ({
          repository: repo,
          leaseUntil: timeText(leaseUntil),
          deleted: isHidden,
          manifests: [...manifests],
          manifestCount,
        })),
        ...(found.purges.length > 0 && {
          purges: found.purges.map(({ id, at, reason, lifted_at: liftedAt }) => ({
            id,
            at: timeText(at),
            reason,
            digest,
            keptOut: liftedAt === null,
          })),
        }),
        events: found.events.map(shownEvent),
      },
    };
  },
});

async function ofTarget({ registry }: AdminCall, { repo, tag, digest }: Target): Promise<Explanation> {
  if (digest !== undefined) {
    const found = await explainManifest(registry, repo, digest);
    return {
      target: `${repo}@${digest}`,
      kind: 'manifest',
      exists: found.manifest !== undefined,
      manifests: found.manifest === undefined ? [] : [shownManifest(found.manifest)],
      ...purgesOf(found.purged),
      events: found.events.map(shownEvent),
    };
  }
  if (tag !== undefined) {
    const found = await explainTag(registry, repo, tag);
    return {
      target: `${repo}:${tag}`,
      kind: 'tag',
      exists: found.manifest !== undefined,
      ...(found.pin !== undefined && { pin: shownPin(found.pin) }),
      ...shownRule(registry.immutability.ofTag(repo, tag)),
      manifests: found.manifest === undefined ? [] : [shownManifest(found.manifest)],
      ...(found.wouldFree !== undefined && { wouldFree: shownRelease(found.wouldFree) }),
      inTrash: found.inTrash.map((row) => ({ digest: row.manifest, until: timeText(row.purge_after) })),
      ...purgesOf(found.purged),
      events: found.events.map(shownEvent),
    };
  }
  const found = await explainRepository(registry, repo);
  return {
    target: repo,
    kind: 'repository',
    exists: found.exists,
    ...(found.pin !== undefined && { pin: shownPin(found.pin) }),
    ...shownRule(registry.immutability.ofRepository(repo)),
    manifests: [],
    events: found.events.map(shownEvent),
  };
}

function shownRule(rule: string | undefined): Pick<Explanation, 'immutable'> {
  return rule === undefined ? {} : { immutable: { rule } };
}

function purgesOf(purged: Purged | undefined): Pick<Explanation, 'purges'> {
  if (purged === undefined) return {};
  const { purge: id, at, reason, digest } = purged;
  return { purges: [{ ...(id !== undefined && { id }), at: timeText(at), reason, digest, keptOut: true }] };
}

function shownManifest(one: ManifestExplanation): z.input<typeof manifest> {
  return {
    repository: one.repo,
    digest: one.digest,
    state: one.state,
    held: one.isHeld,
    holds: one.holds.map(shownHold),
    ...(one.nextReviewAt !== undefined && { nextReview: timeText(one.nextReviewAt) }),
    wouldFree: shownRelease(one.wouldFree),
  };
}

function shownHold(one: Hold): z.input<typeof hold> {
  switch (one.by) {
    case 'tag':
      return { by: one.by, name: one.tag, ...(one.pin !== undefined && { reason: `pinned: ${one.pin.reason}` }) };
    case 'pin':
      return { by: one.by, name: pinTargetText(one.pin), reason: one.pin.reason };
    case 'index':
    case 'subject':
      return { by: one.by, name: one.digest, held: one.isHeld };
    case 'trashed-tag':
      return { by: one.by, name: one.tag, until: timeText(one.until) };
    case 'trash':
    case 'lease':
    case 'never-tagged':
      return { by: one.by, until: timeText(one.until) };
  }
}

function shownRelease({ uniqueBytes, uniqueBlobs, manifests, manifestBytes }: Released): z.input<typeof wouldFree> {
  return { bytes: uniqueBytes, blobs: uniqueBlobs, manifests, manifestBytes };
}

function shownPin(pin: Pin) {
  return {
    target: pinTargetText(pin),
    reason: pin.reason,
    pinnedBy: pin.pinnedBy,
    pinnedAt: timeText(pin.pinnedAt),
  };
}

function shownEvent({ at, kind, repo, tag, digest, actor, reason, bytes }: PastEvent): z.input<typeof event> {
  return {
    at: timeText(at),
    kind,
    ...(repo !== null && { repository: repo }),
    ...(tag !== null && { tag }),
    ...(digest !== null && { digest }),
    actor,
    ...(reason !== null && { reason }),
    ...(bytes !== null && { bytes }),
  };
}
