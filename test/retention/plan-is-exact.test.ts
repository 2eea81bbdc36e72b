import { afterAll, beforeAll, expect, test } from 'bun:test';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { z } from 'zod';
import type { PolicyDefinition } from '../../src/retention/definition.ts';
import { digestOf, imageOf, indexOf, ociIndex, ociManifest } from '../http/content.ts';
import { ServedRegistry } from '../http/served-registry.ts';
import { until } from '../server/until.ts';
import { askPlan, nameOf, type PlannedItem } from './asked-plan.ts';

const hour = 3_600_000;

/** One for all runs: each leaves it empty. */
let registry: ServedRegistry;
beforeAll(async () => {
  registry = await ServedRegistry.start({
    'windows.lease': '0',
    'windows.trash': '1h',
    'windows.condemned': '0',
    'windows.neverTagged': '30d',
  });
});
afterAll(async () => await registry[Symbol.asyncDispose]());

const repos = ['a', 'b/c', 'd'] as const;
/** Of sizes whose sums tell which of them are in it. */
const blobs = Array.from({ length: 7 }, (_, index) => new Uint8Array(2 ** index).fill(index + 1));

/** A manifest to push: blobs by number, what it lists or is about by the number of an earlier one, how it is tagged. */
interface Push {
  readonly repo: 0 | 1 | 2;
  readonly blobs: readonly number[];
  readonly earlier: number;
  readonly shape: 'image' | 'index' | 'referrer' | 'signature';
  readonly tag: number | undefined;
}

const anyPush: fc.Arbitrary<Push> = fc.record({
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

async function push(pushes: readonly Push[]): Promise<void> {
  const pushed: Record<string, Pushed[]> = {};
  for (const [number, { repo: repoNumber, blobs: numbers, earlier, shape, tag }] of pushes.entries()) {
    const repo = repos[repoNumber];
    const before = (pushed[repo] ??= []);
    const target = before[earlier % Math.max(before.length, 1)];
    const needed = numbers.flatMap((each) => blobs[each] ?? []);
    for (const blob of needed) await registry.pushBlob(repo, blob);
    const [config = new Uint8Array(), ...layers] = needed;
    const listed = shape === 'index' ? target : undefined;
    const about = shape === 'referrer' && target !== undefined ? { subject: subjectOf(target) } : {};
    const body = listed === undefined ? { ...imageOf(config, ...layers), ...about } : indexOf(listed.text);
    const text = JSON.stringify({ ...body, annotations: { number: String(number) } });
    const digest = digestOf(text);
    const signed = shape === 'signature' ? target?.digest : undefined;
    const name = signed === undefined ? tag?.toString() : `${signed.replace(':', '-')}.sig`;
    const answer = await registry.putManifest(repo, name ?? digest, text, listed ? ociIndex : ociManifest);
    expect(answer.status).toBe(201);
    before.push({ text, digest });
    registry.clock.advance(1000);
  }
  // The copies that were pushed of what was there go by themselves.
  await until('no copy is left', () => registry.rows("select 1 from object where state = 'dead'").length === 0);
}

function subjectOf({ digest, text }: Pushed) {
  return { mediaType: ociManifest, digest, size: text.length };
}

async function bytesOnDisk(): Promise<number> {
  let sum = 0;
  for (const name of await registry.objectFiles()) {
    sum += (await stat(join(registry.dataDirectory, 'objects', name.slice(0, 2), name))).size;
  }
  return sum;
}

/** The windows of all that was deleted pass, also of what that releases; those of what waits for a tag do not. */
async function windowsPass(): Promise<void> {
  for (let round = 0; round < 3; round++) {
    registry.clock.advance(hour);
    await registry.collected();
  }
}

async function remove({ repository, tag, digest }: PlannedItem): Promise<void> {
  const answer = await registry.send(`/v2/${repository}/manifests/${tag ?? digest}`, { method: 'DELETE' });
  expect(answer.status).toBe(202);
}

async function empty(): Promise<void> {
  for (const { repo } of registry.rows<{ repo: string }>('select distinct repo from pin')) {
    for (const { kind, name } of registry.rows<{ kind: string; name: string }>(
      'select kind, name from pin where repo = ?',
      repo,
    )) {
      const target = { tag: `${repo}:${name}`, manifest: `${repo}@${name}`, repository: repo }[kind] ?? '';
      expect((await registry.admin('DELETE', `/pins?target=${target}`)).status).toBe(200);
    }
  }
  for (const { repo, name } of registry.rows<{ repo: string; name: string }>('select repo, name from tag')) {
    await registry.send(`/v2/${repo}/manifests/${name}`, { method: 'DELETE' });
  }
  registry.clock.advance(31 * 24 * hour);
  await windowsPass();
  expect(await bytesOnDisk()).toBe(0);
}

const anyRule = fc.constantFrom<NonNullable<PolicyDefinition['rules']>[number]>(
  { action: 'keep', tags: '0' },
  { action: 'keep', mostRecentlyPushedCount: 1 },
  { action: 'prune', tags: ['1', '2'] },
  { action: 'prune', tagState: 'untagged' },
  { action: 'prune', budget: '16B' },
  { action: 'prune', largerThan: '8B' },
);

const anyPolicy = fc.record({
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

const usage = z.object({ uniqueBytes: z.number() });

test('what a plan says that each thing frees is exactly what deleting it then frees, in any registry', async () => {
  const seen = { tags: 0, manifests: 0, waits: 0, freed: 0, kept: 0, compared: 0 };
  await fc.assert(
    fc.asyncProperty(
      fc.array(anyPush, { minLength: 3, maxLength: 12 }),
      fc.array(anyPolicy, { minLength: 1, maxLength: 2 }),
      fc.option(fc.constantFrom('a', 'b/*', '?'), { nil: undefined, freq: 4 }),
      fc.option(fc.nat({ max: 20 }), { nil: undefined, freq: 4 }),
      async (pushes, policies, repository, pinned) => {
        await push(pushes);
        await windowsPass();
        const tags = registry.rows<{ repo: string; name: string }>('select repo, name from tag order by repo, name');
        const chosen = pinned === undefined ? undefined : tags[pinned % Math.max(tags.length, 1)];
        if (chosen !== undefined) {
          await registry.admin('POST', '/pins', { target: `${chosen.repo}:${chosen.name}`, reason: 'audit' });
        }
        const plan = await askPlan(registry, { policies, ...(repository !== undefined && { repository }), all: true });
        expect(plan.refusal).toBeUndefined();
        const isUntagged = registry.rows('select 1 from manifest where tagged_at is null').length > 0;
        let sum = 0;
        for (const item of plan.items) {
          if (item.outcome === 'waits') seen.waits += 1;
          if (item.outcome === 'stays') seen.kept += 1;
          if (item.outcome !== 'goes') continue;
          const before = await bytesOnDisk();
          if (item.tag !== undefined && !isUntagged) {
            // The same question, answered by another way through the database.
            const answer = await registry.admin('GET', `/usage/part?target=${nameOf(item)}`);
            expect(item.freesBytes).toBe(usage.parse(await answer.json()).uniqueBytes);
            seen.compared += 1;
          }
          await remove(item);
          await windowsPass();
          const freed = before - (await bytesOnDisk());
          expect({ name: nameOf(item), freed }).toEqual({ name: nameOf(item), freed: item.freesBytes ?? -1 });
          sum += freed;
          seen[item.tag === undefined ? 'manifests' : 'tags'] += 1;
          if (freed > 0) seen.freed += 1;
        }
        expect(plan.total?.freesBytes).toBe(sum);
        await empty();
      },
    ),
    { numRuns: 100 },
  );
  // Else it shows nothing.
  for (const name of ['tags', 'manifests', 'waits', 'freed', 'kept', 'compared'] as const) {
    expect({ name, count: Math.min(seen[name], 5) }).toEqual({ name, count: 5 });
  }
}, 240_000);
