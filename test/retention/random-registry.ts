import { expect } from 'bun:test';
import * as fc from 'fast-check';
import type { PolicyDefinition } from '../../src/retention/definition.ts';
import { digestOf, imageOf, indexOf, ociIndex, ociManifest } from '../http/content.ts';
import { ServedRegistry } from '../http/served-registry.ts';
import type { PlannedItem } from './asked-plan.ts';

const hour = 3_600_000;

const repos = ['a', 'b/c', 'd'] as const;
/** Of sizes whose sums tell which of them are in it. */
const blobs = Array.from({ length: 7 }, (_, index) => new Uint8Array(2 ** index).fill(index + 1));

/** A manifest to push: blobs by number, what it lists or is about by the number of an earlier one, how it is tagged. */
export interface Push {
  readonly repo: 0 | 1 | 2;
  readonly blobs: readonly number[];
  readonly earlier: number;
  readonly shape: 'image' | 'index' | 'referrer' | 'signature';
  readonly tag: number | undefined;
}

export const anyPush: fc.Arbitrary<Push> = fc.record({
  repo: fc.constantFrom(0 as const, 0 as const, 0 as const, 1 as const, 2 as const),
  blobs: fc.uniqueArray(fc.nat({ max: blobs.length - 1 }), { minLength: 1, maxLength: 3 }),
  earlier: fc.nat({ max: 7 }),
  shape: fc.constantFrom('image', 'image', 'image', 'index', 'referrer', 'signature'),
  tag: fc.option(fc.nat({ max: 4 }), { nil: undefined, freq: 6 }),
});

interface Pushed {
  readonly text: string;
  readonly digest: string;
}

/** A registry that is filled at random, and left empty after each run. */
export class RandomRegistry implements AsyncDisposable {
  readonly registry: ServedRegistry;

  private constructor(registry: ServedRegistry) {
    this.registry = registry;
  }

  static async start(): Promise<RandomRegistry> {
    return new RandomRegistry(await ServedRegistry.start(randomSettings));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.registry[Symbol.asyncDispose]();
  }

  async push(pushes: readonly Push[]): Promise<void> {
    const pushed: Record<string, Pushed[]> = {};
    for (const [number, { repo: repoNumber, blobs: numbers, earlier, shape, tag }] of pushes.entries()) {
      const repo = repos[repoNumber];
      const before = (pushed[repo] ??= []);
      const target = before[earlier % Math.max(before.length, 1)];
      const needed = numbers.flatMap((each) => blobs[each] ?? []);
      await Promise.all(needed.map(async (blob) => await this.registry.pushBlob(repo, blob)));
      const [config = new Uint8Array(), ...layers] = needed;
      const listed = shape === 'index' ? target : undefined;
      const about = shape === 'referrer' && target !== undefined ? { subject: subjectOf(target) } : {};
      const body = listed === undefined ? { ...imageOf(config, ...layers), ...about } : indexOf(listed.text);
      const text = JSON.stringify({ ...body, annotations: { number: String(number) } });
      const digest = digestOf(text);
      const signed = shape === 'signature' ? target?.digest : undefined;
      const name = signed === undefined ? tag?.toString() : `${signed.replace(':', '-')}.sig`;
      const answer = await this.registry.putManifest(repo, name ?? digest, text, listed ? ociIndex : ociManifest);
      expect(answer.status).toBe(201);
      before.push({ text, digest });
      this.registry.clock.advance(1000);
    }
    await this.registry.copiesGone();
  }

  async bytesOnDisk(): Promise<number> {
    return await this.registry.objects.totalBytes();
  }

  /** The windows of all that was deleted pass, also of what that releases; those of what waits for a tag do not. */
  async windowsPass(): Promise<void> {
    for (let round = 0; round < 3; round++) {
      this.registry.clock.advance(hour);
      await this.registry.collected();
    }
  }

  async remove({ repository, tag, digest }: PlannedItem): Promise<void> {
    const answer = await this.registry.send(`/v2/${repository}/manifests/${tag ?? digest}`, { method: 'DELETE' });
    expect(answer.status).toBe(202);
  }

  async empty(): Promise<void> {
    for (const { repo } of this.registry.rows<{ repo: string }>('select distinct repo from pin')) {
      for (const { kind, name } of this.registry.rows<{ kind: string; name: string }>(
        'select kind, name from pin where repo = ?',
        repo,
      )) {
        const target = { tag: `${repo}:${name}`, manifest: `${repo}@${name}`, repository: repo }[kind] ?? '';
        expect((await this.registry.admin('DELETE', `/pins?target=${target}`)).status).toBe(200);
      }
    }
    for (const { repo, name } of this.registry.rows<{ repo: string; name: string }>('select repo, name from tag')) {
      await this.registry.send(`/v2/${repo}/manifests/${name}`, { method: 'DELETE' });
    }
    this.registry.clock.advance(31 * 24 * hour);
    await this.windowsPass();
    expect(await this.bytesOnDisk()).toBe(0);
  }
}

/** What it serves with. */
export const randomSettings = {
  'windows.lease': '0',
  'windows.trash': '1h',
  'windows.condemned': '0',
  'windows.neverTagged': '30d',
};

function subjectOf({ digest, text }: Pushed) {
  return { mediaType: ociManifest, digest, size: text.length };
}

const anyRule = fc.constantFrom<NonNullable<PolicyDefinition['rules']>[number]>(
  { action: 'keep', tags: '0' },
  { action: 'keep', mostRecentlyPushedCount: 1 },
  { action: 'prune', tags: ['1', '2'] },
  { action: 'prune', tagState: 'untagged' },
  { action: 'prune', budget: '16B' },
  { action: 'prune', largerThan: '8B' },
);

/** Any policies, but for graces. */
export const anyPolicy = fc.record({
  repositories: fc.constantFrom('**', 'a', ['a', 'b/**'], ['b/**', 'd']),
  default: fc.constantFrom('keep' as const, 'prune' as const, 'prune' as const),
  rules: fc.uniqueArray(anyRule, { maxLength: 3 }),
  rails: fc.record({
    tagsPerDay: fc.constantFrom('100%', '10%'),
    bytesPerDay: fc.constantFrom('100%', '10%'),
    mayPruneLastTag: fc.boolean(),
    grace: fc.constant('0'),
    untaggedGrace: fc.constant('0'),
  }),
});
