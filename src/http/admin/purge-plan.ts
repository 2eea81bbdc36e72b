import { z } from 'zod';
import type { Operation } from '../../metadata/operation.ts';
import type { Digest } from '../../oci/digest.ts';
import { targetText, type Target } from '../../oci/target.ts';
import { contentsOfImages } from '../../registry/purges/images.ts';
import { type Purged, purgedDigest, purgedReference } from '../../registry/purges/purged.ts';
import { type PlannedPlace, purgePlan } from '../../registry/purges/plan.ts';
import { type AdminCall, linesEndpoint, nothing, timeText } from './endpoint.ts';
import { isSharedOfImages, maxBodyBytes, named, sharedOfNothing } from './purge-named.ts';
import { place, shownConsequence } from './purge-shown.ts';

const content = z.object({
  digest: z.string(),
  kind: z.enum(['manifest', 'blob', 'digest']),
  /** A tag, index or image that needs it too, where one does. */
  sharedWith: z.string().optional(),
  /** Whether it is purged. */
  isTaken: z.boolean(),
  /** Of a digest: the purge that keeps it out already. */
  purge: z.int().optional(),
});

const planLine = z.union([
  /** An image that was named and is not here: a purge would be refused. */
  z.object({
    unknownImage: z.string(),
    /** The purge that has taken it, where one has. */
    purge: z.int().optional(),
  }),
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
      /** What loses what held it. */
      consequences: z.int(),
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
  body: z.strictObject(named).refine(isSharedOfImages, sharedOfNothing),
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
  { digests, images, shared: withShared }: Named,
): AsyncGenerator<z.input<typeof planLine>, void, undefined> {
  const { registry } = call;
  const wanted = new Set(digests);
  for (const each of digests) {
    const before = await registry.metadata.read(() => purgedDigest(each));
    yield { content: { digest: each, kind: 'digest', isTaken: true, ...purgeOf(before) } };
  }
  const found = await registry.metadata.read(() => contentsOfImages({ images, digests, withShared }));
  if (found.outcome === 'unknown') {
    const { target } = found;
    const before = await registry.metadata.read(() => purgedTarget(target));
    yield { unknownImage: targetText(target), ...purgeOf(before) };
    return;
  }
  for (const { digest: each, kind, sharedWith, isTaken } of found.contents) {
    if (isTaken) wanted.add(each);
    const other = sharedWith === undefined ? {} : { sharedWith: targetText(sharedWith) };
    yield { content: { digest: each, kind, ...other, isTaken } };
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
    consequences: 0,
  };
  const repositories = new Set<string>();
  for await (const places of purgePlan(registry, [...wanted])) {
    for (const each of places) {
      count(each);
      yield { place: { ...plannedPlace(each), ...breakage(each) } };
    }
  }
  yield { summary: { ...summary, repositories: repositories.size } };

  function breakage(each: PlannedPlace): { readonly breaks?: true } {
    return (each.kind === 'manifest' || each.kind === 'tag') && !wanted.has(each.digest) ? { breaks: true } : {};
  }

  function count(each: PlannedPlace): void {
    if (each.kind === 'link' || each.kind === 'manifest' || each.kind === 'tag') repositories.add(each.repo);
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
      case 'child':
      case 'referrer':
      case 'tag-about':
        summary.consequences++;
    }
  }
}

function purgeOf(before: Purged | undefined): { readonly purge?: number } {
  return before?.purge === undefined ? {} : { purge: before.purge };
}

/** Whether what is not here any more was purged before. */
function* purgedTarget({ repo, tag, digest }: Target): Operation<Purged | undefined> {
  if (tag !== undefined) return yield* purgedReference(repo, { kind: 'tag', tag });
  return digest === undefined ? undefined : yield* purgedReference(repo, { kind: 'digest', digest });
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
    case 'child':
    case 'referrer':
    case 'tag-about':
      return shownConsequence(planned);
    case 'upload':
      return {
        kind: planned.kind,
        repository: planned.repo,
        id: planned.id,
        sizeBytes: planned.sizeBytes,
      };
  }
}
