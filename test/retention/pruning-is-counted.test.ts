import { afterEach, beforeEach, expect, test } from 'bun:test';
import { listQuotas } from '../../src/http/admin/quotas.ts';
import type { PolicyDefinition } from '../../src/retention/definition.ts';
import { parsePolicySet } from '../../src/retention/policy-set.ts';
import { pushImage, remove } from '../admin/pushed-images.ts';
import { findings } from '../fsck/damaged-registry.ts';
import { ServedRegistry } from '../http/served-registry.ts';
import { askSimulation } from './asked-simulation.ts';

const day = 86_400_000;
const policy: PolicyDefinition = {
  name: 'builds',
  repositories: 'team/**',
  default: 'prune',
  rules: [
    { action: 'keep', tags: 'v*' },
    { action: 'keep', pushedWithin: '2d' },
  ],
  rails: { grace: '0', tagsPerDay: '100%', bytesPerDay: '100%' },
};

let registry: ServedRegistry;
beforeEach(async () => {
  registry = await ServedRegistry.start();
  const parsed = parsePolicySet([policy]);
  registry.policies = parsed.ok ? parsed.set : undefined;
  await registry.limit([
    { name: 'team', repositories: 'team/**', bytes: { hard: '1kB' }, tags: { hard: '4' } },
    { name: 'each', repositories: '**', each: true, tags: { hard: '9' } },
  ]);
});
afterEach(async () => await registry[Symbol.asyncDispose]());

/** What is used of each quota, and that an independent check agrees. */
async function used(): Promise<Readonly<Record<string, readonly number[]>>> {
  expect(await findings(registry)).toEqual([]);
  const { quotas } = listQuotas.answer.parse(await (await registry.admin('GET', '/quotas')).json());
  return Object.fromEntries(
    quotas.map(({ quota, repository, bytes, tags }) => [repository ?? quota, [bytes.used, tags.used]]),
  );
}

async function pass(ms: number): Promise<void> {
  registry.clock.advance(ms);
  await registry.pruned();
  await registry.collected();
}

test('what is pruned leaves the count of its quotas like anything deleted, and counts again when it is restored', async () => {
  for (const tag of ['b1', 'b2', 'b3', 'v1']) await pushImage(registry, 'team/app', { tags: [tag] });
  await pushImage(registry, 'other', { tags: ['x'] });
  expect(await used()).toEqual({ team: [800, 4], other: [200, 1] });
  const refused = await registry.putManifest('team/app', 'v2', '{}');
  expect(refused.status).not.toBe(201);

  await pass(2 * day);
  expect(registry.rows("select tag from event where kind = 'tag.pruned'")).toHaveLength(3);
  // The bytes count for as long as the trash holds them.
  expect(await used()).toEqual({ team: [800, 1], other: [200, 1] });
  const restored = await registry.admin('POST', '/trash/restore', { target: 'team/app:b2' });
  expect(restored.status).toBe(200);
  expect(await used()).toEqual({ team: [800, 2], other: [200, 1] });
  await pass(2 * day);
  await registry.admin('POST', '/trash/empty', { repository: 'team/app' });
  await pass(60 * day);
  expect(await used()).toEqual({ team: [200, 1], other: [200, 1] });
  for (const tag of ['n1', 'n2', 'n3']) await pushImage(registry, 'team/app', { tags: [tag] });
  expect(await used()).toEqual({ team: [800, 4], other: [200, 1] });
});

test('what has been pruned is remembered: a simulation afterwards takes it for removed', async () => {
  const first = await pushImage(registry, 'team/app', { tags: ['b1'] });
  await pushImage(registry, 'team/app', { tags: ['b2'] });
  await pushImage(registry, 'team/app', { tags: ['v1'] });
  const loose = await pushImage(registry, 'team/app');
  await pass(day);
  expect((await registry.send('/v2/team/app/manifests/b1')).status).toBe(200);
  await pass(day);
  expect(registry.rows("select tag, digest from push_history where what = 'removed' order by tag")).toMatchObject([
    { tag: 'b1', digest: first.digest },
    { tag: 'b2' },
  ]);
  // It is pulled in vain, and the pruned image is taken away.
  expect((await registry.send('/v2/team/app/manifests/b1')).status).toBe(404);
  await pass(40 * day);
  await pass(40 * day);
  expect(registry.rows('select 1 from manifest')).toHaveLength(1);

  const keepsAll = { ...policy, default: 'keep', rules: [] } as const;
  const kept = await askSimulation(registry, { policies: [keepsAll] });
  expect(kept.days.map(({ heldBytes }) => heldBytes).slice(0, 4)).toEqual([800, 800, 400, 400]);
  expect(kept.days.at(-1)).toMatchObject({ pruned: 0, heldBytes: 200, wouldHoldBytes: 200 });
  expect(kept.total).toMatchObject({ prunedTags: 0, freedBytes: 0, brokenPulls: 0 });

  // It would have gone before the pull, which came before it went.
  const sooner = { ...policy, rules: [{ action: 'keep', tags: 'v*' }] } as const;
  const gone = await askSimulation(registry, { policies: [sooner] });
  expect(gone.total).toMatchObject({ prunedTags: 2, brokenThings: 1, brokenPulls: 1 });
  expect(gone.broken).toMatchObject([{ tag: 'b1', digest: first.digest, pulls: 1 }]);
  // As it was: what has really gone is not to be pruned once more.
  const same = await askSimulation(registry, { policies: [policy] });
  expect(same.total).toMatchObject({ prunedTags: 0, brokenPulls: 0 });
  expect(same.days.at(2)).toMatchObject({ pruned: 0, heldBytes: 400, wouldHoldBytes: 400 });
  expect((await remove(registry, 'team/app', loose.digest)).status).toBe(404);
});
