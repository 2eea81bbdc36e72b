import { expect, test } from 'bun:test';
import * as fc from 'fast-check';
import { z } from 'zod';
import { first } from '../../src/metadata/operation.ts';
import { tagTarget } from '../../src/metadata/queries/tags.ts';
import { type Digest, digestOf } from '../../src/oci/digest.ts';
import { parseRepositoryName, parseTagName, type RepositoryName, type TagName } from '../../src/oci/names.ts';
import { requestActor } from '../../src/registry/actor.ts';
import { deleteBlob } from '../../src/registry/blob.ts';
import { deleteManifest, removeTag } from '../../src/registry/manifests/delete.ts';
import { putManifest } from '../../src/registry/manifests/put.ts';
import { mountBlob } from '../../src/registry/mount.ts';
import { pin, unpin } from '../../src/registry/pin.ts';
import { unconditional } from '../../src/registry/precondition.ts';
import type { Registry } from '../../src/registry/registry.ts';
import { restore } from '../../src/registry/trash/restore.ts';
import { pushWholeBlob } from '../../src/registry/uploads/whole.ts';
import { imageOf } from '../http/content.ts';
import { chunkOf } from '../model/chunks.ts';
import { World } from '../model/world.ts';
import { randomRuns } from '../pairs/random-runs.ts';

const encoder = new TextEncoder();
const blobs = ['one', 'two', 'three'].map((text) => encoder.encode(text));
const repos = ['team/app', 'team/base'].map((text) => known(parseRepositoryName(text)));
const tags = ['v1', 'v2', 'latest'].map((text) => known(parseTagName(text)));
const images = [
  [0, 1],
  [1, 2],
].map((parts) => {
  const [config, ...layers] = parts.map((part) => known(blobs[part]));
  const bytes = encoder.encode(JSON.stringify(imageOf(known(config), ...layers)));
  return { bytes, digest: digestOf('sha256', bytes) };
});

const what = ['push blob', 'mount', 'push', 'push', 'delete tag', 'delete manifest', 'delete blob'] as const;
const steps = fc.array(
  fc.record({
    what: fc.constantFrom(...what, 'restore tag', 'restore manifest', 'pin', 'unpin'),
    repo: fc.nat({ max: repos.length - 1 }),
    tags: fc.uniqueArray(fc.nat({ max: tags.length - 1 }), { minLength: 1, maxLength: 2 }),
    image: fc.nat({ max: images.length - 1 }),
    blob: fc.nat({ max: blobs.length - 1 }),
  }),
  { minLength: 5, maxLength: 30 },
);
type Drawn = typeof steps extends fc.Arbitrary<readonly (infer One)[]> ? One : never;
type Step = Omit<Drawn, 'tags'> & { readonly tags: readonly number[] };

const windows = { leaseMs: 60_000, neverTaggedMs: 60_000, trashMs: 60_000, condemnedMs: 0, uploadMs: 60_000 };

test('whatever is acknowledged has its events, with who asked for it in which request, and what is refused has none', async () => {
  const seen = new Set<string>();
  await fc.assert(
    fc.asyncProperty(steps, async (schedule) => {
      await using world = await World.open({ windows, sparse: { images: false, indexes: false } });
      const start = [0, 1, 2].map((blob) => ({ what: 'push blob', repo: 0, tags: [0], image: 0, blob }) as const);
      const image = { what: 'push', repo: 0, tags: [0, 1], image: 0, blob: 0 } as const;
      for (const [index, step] of [...start, image, ...schedule].entries()) {
        const by = { identity: `user:u${index % 3}`, address: '10.0.0.1', requestId: `request-${index}` };
        const expected = await perform(world, step, by);
        const rows = await eventsOf(world, by.requestId);
        expect(rows.map(({ kind, tag }) => (tag === null ? kind : `${kind} ${tag}`)).toSorted()).toEqual(
          expected.toSorted(),
        );
        for (const row of rows) {
          expect(row).toMatchObject({ identity: by.identity, address: by.address, repo: known(repos[step.repo]) });
        }
        for (const { kind } of rows) seen.add(kind);
      }
    }),
    { numRuns: randomRuns(60, 60) },
  );
  // Otherwise the test has shown little.
  expect(seen.size).toBeGreaterThanOrEqual(10);
}, 120_000);

/** Does it, and says which events there have to be. */
async function perform(
  { registry }: World,
  { what: kind, ...at }: Step,
  by: { readonly identity: string; readonly address: string; readonly requestId: string },
): Promise<readonly string[]> {
  const actor = requestActor({ who: 'somebody', userAgent: undefined, ...by });
  const repo = known(repos[at.repo]);
  const named = at.tags.map((tag) => known(tags[tag]));
  const [tag] = named;
  const { bytes, digest } = known(images[at.image]);
  const blob = known(blobs[at.blob]);
  const blobDigest = digestOf('sha256', blob);
  const target = { repo, tag: undefined, digest: undefined };
  switch (kind) {
    case 'push blob': {
      const pushed = await pushWholeBlob(registry, { repo, digest: blobDigest, actor, ...chunkOf(blob) });
      return pushed.outcome === 'created' ? ['blob.pushed'] : [];
    }
    case 'mount': {
      const mounted = await mountBlob(registry, { repo, digest: blobDigest, from: known(repos[1 - at.repo]), actor });
      return mounted.outcome === 'admitted' ? ['blob.mounted'] : [];
    }
    case 'push': {
      const before = await targets(registry, repo, named);
      const request = { repo, tags: named, precondition: unconditional, bytes, contentType: undefined, actor };
      const pushed = await putManifest(registry, { ...request, reference: { kind: 'digest', digest } });
      if (pushed.outcome !== 'created') return [];
      const ofTags = named.flatMap((name, index) => {
        if (before[index] === undefined) return [`tag.pushed ${name}`];
        return before[index] === digest ? [] : [`tag.moved ${name}`];
      });
      return ['manifest.pushed', ...ofTags];
    }
    case 'delete tag': {
      const deleted = await removeTag(registry, repo, known(tag), unconditional, actor);
      return deleted.outcome === 'deleted' ? [`tag.deleted ${tag}`] : [];
    }
    case 'delete manifest': {
      const deleted = await deleteManifest(registry, repo, digest, unconditional, actor);
      if (deleted.outcome !== 'deleted') return [];
      return ['manifest.deleted', ...deleted.tags.map((name) => `tag.deleted ${name}`)];
    }
    case 'delete blob': {
      const deleted = await deleteBlob(registry, repo, blobDigest, actor);
      return deleted.outcome === 'deleted' ? ['link.deleted'] : [];
    }
    case 'restore tag':
    case 'restore manifest': {
      const wanted = kind === 'restore tag' ? { ...target, tag } : { ...target, digest };
      const restored = await restore(registry, { target: wanted, actor });
      if (restored.outcome !== 'restored') return [];
      return [
        ...restored.manifests.map(() => 'manifest.restored'),
        ...restored.tags.map((name) => `tag.restored ${name}`),
      ];
    }
    case 'pin': {
      const reference = { kind: 'tag', tag: known(tag) } as const;
      const pinned = await pin(registry, { repo, reference, reason: 'a test', actor });
      return pinned.outcome === 'pinned' ? [`pinned ${tag}`] : [];
    }
    case 'unpin': {
      const reference = { kind: 'tag', tag: known(tag) } as const;
      return (await unpin(registry, { repo, reference, actor })) ? [`unpinned ${tag}`] : [];
    }
  }
}

async function targets(
  { metadata }: Registry,
  repo: RepositoryName,
  names: readonly TagName[],
): Promise<readonly (Digest | undefined)[]> {
  const found: (Digest | undefined)[] = [];
  for (const name of names) found.push((await metadata.read(() => first(tagTarget, { repo, name })))?.manifest);
  return found;
}

const eventRows = z.array(
  z.object({
    kind: z.string(),
    repo: z.string(),
    tag: z.string().nullable(),
    identity: z.string(),
    address: z.string(),
  }),
);

async function eventsOf(world: World, requestId: string): Promise<z.infer<typeof eventRows>> {
  return eventRows.parse(
    await world.rows(`select kind, repo, tag, identity, address from event where request_id = '${requestId}'`),
  );
}

function known<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('a test made a mistake');
  return value;
}
