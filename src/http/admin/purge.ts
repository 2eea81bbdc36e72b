import { z } from 'zod';
import { parseDigest, describeDigestProblem, type Digest } from '../../oci/digest.ts';
import { targetText, type Target } from '../../oci/target.ts';
import { purge } from '../../registry/purge.ts';
import { contentsOfImages } from '../../registry/purge-images.ts';
import { liftPurge } from '../../registry/purge-lift.ts';
import { type PlannedPlace, purgePlan } from '../../registry/purge-plan.ts';
import {
  placesOfPurge,
  type PurgePlace,
  type PurgeRecord,
  purgeRecord,
  purgeRecords,
} from '../../registry/purge-record.ts';
import type { Problem } from '../errors.ts';
import { type AdminCall, endpoint, linesEndpoint, nothing, pageLength, target, time, timeText } from './endpoint.ts';

/** So many digests or images at once, at most. */
const mostAtOnce = 1000;
/** A body may name as many. */
const maxBodyBytes = 512 * 1024;

const digest = z
  .string()
  .meta({ description: 'The digest of a blob or a manifest' })
  .transform((text, context): Digest => {
    const parsed = parseDigest(text);
    if (parsed !== undefined) return parsed;
    context.addIssue({ code: 'custom', message: describeDigestProblem(text) });
    return z.NEVER;
  });

/** A tag or a manifest: a repository alone is no image. */
const image = target.refine(({ tag, digest: named }) => tag !== undefined || named !== undefined, {
  message: 'name an image by its tag or digest, REPO:TAG or REPO@DIGEST',
});

const reason = z.string('say why: a purge needs a reason').trim().min(1, 'say why: a purge needs a reason').max(500);

const named = {
  digests: z.array(digest).max(mostAtOnce).default([]),
  /** Of each, its manifest, config and those layers that no other image needs; of an index all that it lists. */
  images: z.array(image).max(mostAtOnce).default([]),
  /** Also what other images need. */
  shared: z.boolean().default(false),
};

const place = z.object({
  kind: z.enum(['object', 'link', 'manifest', 'tag', 'trashed-tag', 'referrer', 'upload']),
  repository: z.string().optional(),
  digest: z.string().optional(),
  tag: z.string().optional(),
  /** Of an object or an upload. */
  id: z.string().optional(),
  /** Of a manifest. */
  type: z.enum(['image', 'index']).optional(),
  /** How an object or a manifest stands. */
  state: z.enum(['pending', 'live', 'condemned', 'dead', 'trashed']).optional(),
  /** Of a referrer. */
  subject: z.string().optional(),
  sizeBytes: z.int().optional(),
  lastPulledAt: time.optional(),
  /** Of what the history of pulls had kept, when it was purged. */
  pulls: z.int().optional(),
});

const content = z.object({
  digest: z.string(),
  kind: z.enum(['manifest', 'blob', 'digest']),
  /** An image that needs it too, where another does. */
  sharedWith: z.string().optional(),
  /** Whether it is purged. */
  isTaken: z.boolean(),
});

export type ShownPlace = z.output<typeof place>;

const planLine = z.union([
  /** An image that was named and is not here: a purge would be refused. */
  z.object({ unknownImage: z.string() }),
  z.object({ content }),
  z.object({ place }),
  z.object({
    summary: z.object({
      digests: z.int(),
      bytes: z.int(),
      repositories: z.int(),
      objects: z.int(),
      links: z.int(),
      manifests: z.int(),
      tags: z.int(),
      uploads: z.int(),
    }),
  }),
]);

export type PlanLine = z.output<typeof planLine>;

export const planThePurge = linesEndpoint({
  method: 'POST',
  path: '/purge/plan',
  action: 'purge',
  summary: 'All that a purge would hit, each in a line of its own, and how much in the last. Nothing is changed.',
  query: nothing,
  body: z.strictObject(named),
  maxBodyBytes,
  line: planLine,
  handle: (call, { body }) => ({ lines: planLines(call, body) }),
});

interface Named {
  readonly digests: readonly Digest[];
  readonly images: readonly Target[];
  readonly shared: boolean;
}

async function* planLines(
  call: AdminCall,
  { digests, images, shared }: Named,
): AsyncGenerator<z.input<typeof planLine>, void, undefined> {
  const { registry } = call;
  const wanted = new Set(digests);
  for (const each of digests) yield { content: { digest: each, kind: 'digest', isTaken: true } };
  const found = await registry.metadata.read(() => contentsOfImages(images));
  if (found.outcome === 'unknown') {
    yield { unknownImage: targetText(found.target) };
  } else {
    for (const { digest: each, kind, sharedWith } of found.contents) {
      const isTaken = shared || sharedWith === undefined || wanted.has(each);
      if (isTaken) wanted.add(each);
      const other = sharedWith === undefined ? {} : { sharedWith: `${sharedWith.repo}@${sharedWith.digest}` };
      yield { content: { digest: each, kind, ...other, isTaken } };
    }
  }
  const summary = {
    digests: wanted.size,
    bytes: 0,
    repositories: 0,
    objects: 0,
    links: 0,
    manifests: 0,
    tags: 0,
    uploads: 0,
  };
  const repositories = new Set<string>();
  for await (const places of purgePlan(registry, [...wanted])) {
    for (const each of places) {
      count(each);
      yield { place: plannedPlace(each) };
    }
  }
  yield { summary: { ...summary, repositories: repositories.size } };

  function count(each: PlannedPlace): void {
    if (each.kind !== 'object' && each.kind !== 'upload') repositories.add(each.repo);
    switch (each.kind) {
      case 'object':
        summary.objects++;
        summary.bytes += each.sizeBytes;
        return;
      case 'manifest':
        summary.manifests++;
        summary.bytes += each.sizeBytes;
        return;
      case 'link':
        summary.links++;
        return;
      case 'tag':
        summary.tags++;
        return;
      case 'upload':
        summary.uploads++;
        return;
      case 'referrer':
    }
  }
}

const record = z.object({
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
  checks: z.array(z.object({ where: z.string(), found: z.array(z.string()) })).optional(),
  responsesCut: z.int().optional(),
  shredding: z.object({ isDone: z.boolean(), words: z.string() }).optional(),
  unreached: z.array(z.string()).optional(),
});

export type ShownRecord = z.output<typeof record>;

export const purgeNow = endpoint({
  method: 'POST',
  path: '/purge',
  action: 'purge',
  summary:
    'Removes contents from everywhere at once and for good, and keeps them out. The answer is the record of it, which GET /purges/record tells with each place.',
  query: nothing,
  body: z.strictObject({ ...named, reason, shred: z.boolean().default(false) }),
  maxBodyBytes,
  answer: record,
  isLong: true,
  async handle(call, { body: { digests, images, shared, shred, reason: why } }) {
    call.allowSlowAnswer();
    const request = { digests, images, withShared: shared, reason: why, isShredding: shred, actor: call.actor() };
    const outcome = await purge(call.registry, request);
    switch (outcome.outcome) {
      case 'purged':
        return await answerOf(call, outcome.purge);
      case 'unknown-image':
        return { problem: unknownImage(outcome.target) };
      case 'nothing-named':
        return {
          problem: { code: 'UNSUPPORTED', status: 400, message: 'name a digest or an image that shall be purged' },
        };
    }
  },
});

const purgeNumber = z.coerce.number<string>().int().min(1);

export const listPurges = endpoint({
  method: 'GET',
  path: '/purges',
  action: 'purge',
  summary: 'The records of purges, the newest first, a page of them.',
  query: z.strictObject({ before: purgeNumber.optional(), n: pageLength }),
  body: nothing,
  answer: z.object({ purges: z.array(record), next: z.string().optional() }),
  async handle({ registry }, { query: { before, n } }) {
    const records = await purgeRecords(registry, { before, limit: n });
    const last = records.length < n ? undefined : records.at(-1);
    return { answer: { purges: records.map(shownRecord), ...(last !== undefined && { next: String(last.id) }) } };
  },
});

export const showPurge = endpoint({
  method: 'GET',
  path: '/purges/record',
  action: 'purge',
  summary: 'The record of a purge.',
  query: z.strictObject({ id: purgeNumber }),
  body: nothing,
  answer: record,
  handle: async (call, { query: { id } }) => await answerOf(call, id),
});

export const showPlaces = linesEndpoint({
  method: 'GET',
  path: '/purges/places',
  action: 'purge',
  summary: 'Each place in which a purge has found what it was for, in a line of its own.',
  query: z.strictObject({ id: purgeNumber }),
  body: nothing,
  line: place,
  handle: ({ registry }, { query: { id } }) => ({ lines: placeLines(registry, id) }),
});

async function* placeLines(
  registry: AdminCall['registry'],
  id: number,
): AsyncGenerator<z.input<typeof place>, void, undefined> {
  for await (const page of placesOfPurge(registry, id)) for (const each of page) yield shownPlace(each);
}

export const liftThePurge = endpoint({
  method: 'POST',
  path: '/purge/lift',
  action: 'purge',
  summary: 'Lets purged digests in again, all of them or none. Nothing comes back by that.',
  query: nothing,
  body: z.strictObject({ digests: z.array(digest).min(1).max(mostAtOnce), reason }),
  maxBodyBytes,
  answer: z.object({ digests: z.array(z.string()) }),
  async handle(call, { body }) {
    const outcome = await liftPurge(call.registry, { ...body, actor: call.actor() });
    switch (outcome.outcome) {
      case 'lifted':
        return { answer: { digests: [...outcome.digests] } };
      case 'not-blocked':
        return {
          problem: {
            code: 'BLOB_UNKNOWN',
            message: `nothing was lifted: ${outcome.digest} is not kept out; "wherry purge list" shows what is`,
            detail: { digest: outcome.digest },
          },
        };
      case 'unfinished':
        return {
          problem: {
            code: 'DENIED',
            status: 409,
            message: `nothing was lifted: purge ${outcome.purge} of ${outcome.digest} is not finished yet`,
            detail: { digest: outcome.digest, purge: outcome.purge },
          },
        };
    }
  },
});

async function answerOf(
  call: AdminCall,
  id: number,
): Promise<{ readonly answer: z.input<typeof record> } | { readonly problem: Problem }> {
  const found = await purgeRecord(call.registry, id);
  if (found !== undefined) return { answer: shownRecord(found) };
  return {
    problem: {
      code: 'UNSUPPORTED',
      status: 404,
      message: `there is no purge ${id}: "wherry purge list" shows those that there are`,
      detail: { purge: id },
    },
  };
}

function unknownImage(asked: Target): Problem {
  return {
    code: 'MANIFEST_UNKNOWN',
    message: `nothing was purged: there is no ${targetText(asked)}`,
    detail: { target: targetText(asked) },
  };
}

function shownRecord({
  id,
  at,
  actor,
  digests,
  places,
  isShredding,
  removedAt,
  checkedAt,
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
    ...(result !== undefined && {
      isClean: result.checks.every(({ found }) => found.length === 0),
      checks: result.checks,
      responsesCut: result.responsesCut,
      unreached: result.unreached,
      ...(result.shredding !== undefined && { shredding: result.shredding }),
    }),
  };
}

function shownPlace({
  kind,
  repo,
  digest: each,
  name,
  type,
  state,
  size_bytes: sizeBytes,
  last_pulled_at: pulledAt,
  pulls,
}: PurgePlace): z.input<typeof place> {
  return {
    kind,
    ...(repo !== '' && { repository: repo }),
    ...(each !== '' && { digest: each }),
    ...(name !== '' && (kind === 'tag' || kind === 'trashed-tag' ? { tag: name } : { id: name })),
    ...(type !== null && { type }),
    ...(state !== null && { state }),
    ...(sizeBytes !== null && { sizeBytes }),
    ...(pulledAt !== null && { lastPulledAt: timeText(pulledAt) }),
    ...(pulls !== null && { pulls }),
  };
}

function plannedPlace(planned: PlannedPlace): z.input<typeof place> {
  switch (planned.kind) {
    case 'object':
      return {
        kind: planned.kind,
        digest: planned.digest,
        id: planned.oid,
        state: planned.state,
        sizeBytes: planned.sizeBytes,
      };
    case 'link':
      return {
        kind: planned.kind,
        repository: planned.repo,
        digest: planned.digest,
      };
    case 'manifest':
      return {
        kind: planned.kind,
        repository: planned.repo,
        digest: planned.digest,
        type: planned.type,
        state: planned.isInTrash ? 'trashed' : 'live',
        sizeBytes: planned.sizeBytes,
        ...(planned.lastPulledAt !== undefined && { lastPulledAt: timeText(planned.lastPulledAt) }),
      };
    case 'tag':
      return {
        kind: planned.isInTrash ? 'trashed-tag' : 'tag',
        repository: planned.repo,
        tag: planned.tag,
        digest: planned.digest,
      };
    case 'referrer':
      return { kind: planned.kind, repository: planned.repo, digest: planned.digest, subject: planned.subject };
    case 'upload':
      return {
        kind: planned.kind,
        repository: planned.repo,
        id: planned.id,
        sizeBytes: planned.sizeBytes,
      };
  }
}
