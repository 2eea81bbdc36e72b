import { expect, test } from 'bun:test';
import * as fc from 'fast-check';
import { ImmutabilitySet } from '../../src/immutability/immutability-set.ts';
import { first } from '../../src/metadata/operation.ts';
import { tagTarget } from '../../src/metadata/queries/tags.ts';
import { type Digest, digestOf } from '../../src/oci/digest.ts';
import { parseRepositoryName, parseTagName, type RepositoryName, type TagName } from '../../src/oci/names.ts';
import { anyClient, pruningActor } from '../../src/registry/actor.ts';
import { deleteManifest, removeTag } from '../../src/registry/manifests/delete.ts';
import { putManifest } from '../../src/registry/manifests/put.ts';
import { unconditional } from '../../src/registry/precondition.ts';
import type { Registry } from '../../src/registry/registry.ts';
import { restore } from '../../src/registry/trash/restore.ts';
import { retire } from '../../src/registry/retire.ts';
import { World } from '../model/world.ts';
import { randomRuns } from '../pairs/random-runs.ts';

const repos = ['team/app', 'free'].map((text) => required(parseRepositoryName(text)));
const tags = ['v1', 'v2', 'v2-rc', 'latest'].map((text) => required(parseTagName(text)));
const rules = [{ name: 'releases', repositories: 'team/*', tags: 'v*', exclude: '*-rc' }];
const images = [0, 1, 2].map((number) => {
  const config = {
    mediaType: 'application/vnd.oci.image.config.v1+json',
    digest: digestOf('sha256', new Uint8Array([number])),
    size: 1,
  };
  const mediaType = 'application/vnd.oci.image.manifest.v1+json';
  const bytes = new TextEncoder().encode(JSON.stringify({ schemaVersion: 2, mediaType, config, layers: [] }));
  return { bytes, digest: digestOf('sha256', bytes) };
});

interface Step {
  readonly what: 'push' | 'delete tag' | 'delete manifest' | 'restore tag' | 'restore manifest' | 'retire';
  readonly repo: number;
  readonly tag: number;
  readonly image: number;
}

const steps = fc.array(
  fc.record({
    what: fc.constantFrom<Step['what'][]>(
      'push',
      'push',
      'push',
      'delete tag',
      'delete manifest',
      'restore tag',
      'restore manifest',
      'retire',
    ),
    repo: fc.nat({ max: repos.length - 1 }),
    tag: fc.nat({ max: tags.length - 1 }),
    image: fc.nat({ max: images.length - 1 }),
  }),
  { minLength: 5, maxLength: 40 },
);

const windows = {
  leaseMs: 3_600_000,
  neverTaggedMs: 3_600_000,
  trashMs: 3_600_000,
  condemnedMs: 0,
  uploadMs: 3_600_000,
};
const sparse = { images: true, indexes: true };

test('no operation changes where an immutable tag leads, and each other one does what it does without rules', async () => {
  const parsed = ImmutabilitySet.parse(rules);
  if (!parsed.ok) throw new Error(parsed.problems.join('\n'));
  const immutability = parsed.set;
  await fc.assert(
    fc.asyncProperty(steps, async (schedule) => {
      await using ruled = await World.open({ windows, sparse, immutability });
      await using free = await World.open({ windows, sparse });
      const led = new Map<string, Digest>();
      for (const step of schedule) {
        const outcome = await perform(ruled.registry, step);
        // What a rule refuses has not been asked of the other.
        if (JSON.stringify(outcome).includes('immutable')) expect(step.repo).toBe(0);
        else expect(outcome).toEqual(await perform(free.registry, step));
        for (const [repo, tag] of immutableTags(immutability)) {
          const target = await ruled.registry.metadata.read(() => first(tagTarget, { repo, name: tag }));
          const key = `${repo}:${tag}`;
          const before = led.get(key);
          if (before !== undefined) expect([key, target?.manifest]).toEqual([key, before]);
          if (target !== undefined) led.set(key, target.manifest);
        }
      }
    }),
    { numRuns: randomRuns(60) },
  );
}, 120_000);

function immutableTags(set: ImmutabilitySet): readonly (readonly [RepositoryName, TagName])[] {
  return repos.flatMap((repo) =>
    tags.flatMap((tag) => (set.ofTag(repo, tag) === undefined ? [] : [[repo, tag] as const])),
  );
}

async function perform(registry: Registry, { what, ...at }: Step): Promise<unknown> {
  const [repo, tag, { bytes, digest }] = [required(repos[at.repo]), required(tags[at.tag]), required(images[at.image])];
  const target = { repo, tag: undefined, digest: undefined };
  switch (what) {
    case 'push':
      return await putManifest(registry, {
        repo,
        reference: { kind: 'tag', tag },
        tags: [tag],
        precondition: unconditional,
        bytes,
        contentType: undefined,
      });
    case 'delete tag':
      return await removeTag(registry, repo, tag, unconditional);
    case 'delete manifest':
      return await deleteManifest(registry, repo, digest, unconditional);
    case 'restore tag':
      return await restore(registry, { target: { ...target, tag }, actor: anyClient });
    case 'restore manifest':
      return await restore(registry, { target: { ...target, digest }, actor: anyClient });
    case 'retire': {
      const now = registry.clock.now();
      const item = {
        tag,
        digest,
        pushedAt: now,
        taggedAt: now,
        pulledAt: null,
        reason: 'a test says so',
        freesBytes: 0,
      };
      return await retire(registry, { repo, items: [item], actor: pruningActor });
    }
  }
}

function required<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('a test made a mistake');
  return value;
}
