import { expect, test } from 'bun:test';
import type { PolicyDefinition } from '../../src/retention/definition.ts';
import { pushImage, pushIndex, remove } from '../admin/pushed-images.ts';
import { freshBytes } from '../http/content.ts';
import { ServedRegistry, type Settings } from '../http/served-registry.ts';
import { askSimulation } from './asked-simulation.ts';

const repo = 'team/app';
const day = 86_400_000;
const atOnce: Settings = {
  'windows.lease': '0',
  'windows.trash': '0',
  'windows.condemned': '0',
};
const rails = { tagsPerDay: '100%', bytesPerDay: '100%', grace: '0', mayPruneLastTag: true };
const newest: PolicyDefinition = {
  name: 'newest',
  repositories: '**',
  default: 'prune',
  rules: [{ action: 'keep', mostRecentlyPushedCount: 1 }],
  rails,
};

async function pull(registry: ServedRegistry, reference: string): Promise<void> {
  expect((await registry.send(`/v2/${repo}/manifests/${reference}`)).status).toBe(200);
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}

/** Of a multiple of 10 s, the time from which on a change is seen. */
function seenAt(ms: number): string {
  return iso(Math.ceil(ms / 10_000) * 10_000);
}

test('what would have gone, when, what that frees, and which pulls would have failed', async () => {
  await using registry = await ServedRegistry.start(atOnce);
  const start = registry.clock.now();
  const shared = freshBytes(1000);
  const one = await pushImage(registry, repo, { tags: ['one'], layers: [shared] });
  registry.clock.advance(day);
  await pushImage(registry, repo, { tags: ['two'], layers: [shared] });
  registry.clock.advance(day);
  for (const reference of ['one', 'one', 'two', one.digest]) await pull(registry, reference);
  registry.clock.advance(day);
  const { head, repositories, days, broken, total } = await askSimulation(registry, { policies: [newest] });

  expect(head).toMatchObject({ since: head?.rememberedSince ?? '', madeAt: iso(start + 3 * day) });
  expect(repositories).toEqual([
    {
      repository: repo,
      policy: 'newest',
      prunedTags: 1,
      prunedManifests: 0,
      freedBytes: 200,
      brokenThings: 2,
      brokenPulls: 3,
    },
  ]);
  expect(days.map((each) => [each.pruned, each.freedBytes, each.heldBytes, each.wouldHoldBytes])).toEqual([
    [0, 0, 1200, 1200],
    [1, 200, 1400, 1200],
    [0, 0, 1400, 1200],
    [0, 0, 1400, 1200],
  ]);
  const gone = {
    repository: repo,
    policy: 'newest',
    digest: one.digest,
    goneAt: seenAt(start + day),
    rule: 'default',
    reason: 'no rule keeps it, and the default of newest is prune',
  };
  const onDay = iso(start + 2 * day).slice(0, 10);
  expect(broken).toEqual([
    { ...gone, tag: 'one', pulls: 2, days: [{ day: onDay, pulls: 2 }] },
    { ...gone, with: 'one', pulls: 1, days: [{ day: onDay, pulls: 1 }] },
  ]);
  expect(total).toMatchObject({
    prunedTags: 1,
    freedBytes: 200,
    heldBytes: 1400,
    wouldHoldBytes: 1200,
    brokenPulls: 3,
  });
});

test('a push brings a tag back, and pulls before and after it are told apart', async () => {
  await using registry = await ServedRegistry.start(atOnce);
  const one = await pushImage(registry, repo, { tags: ['one'] });
  registry.clock.advance(day);
  await pushImage(registry, repo, { tags: ['two'] });
  registry.clock.advance(day);
  await pull(registry, 'one');
  await registry.stop();
  await registry.resume(atOnce);
  registry.clock.advance(day);
  expect((await registry.putManifest(repo, 'one', one.manifest)).status).toBe(201);
  registry.clock.advance(1000);
  await pull(registry, 'one');
  const { broken, total } = await askSimulation(registry, { policies: [newest] });
  expect(broken.map(({ tag, pulls }) => [tag, pulls])).toEqual([['one', 1]]);
  // The first has gone, came back, and so the second was not the newest any more.
  expect(total).toMatchObject({ prunedTags: 2 });
});

test('what is gone by now is replayed from what is remembered of it', async () => {
  await using registry = await ServedRegistry.start(atOnce);
  const child = await pushImage(registry, repo);
  await pushIndex(registry, repo, ['index'], child);
  registry.clock.advance(day);
  await pull(registry, child.digest);
  await registry.stop();
  await registry.resume(atOnce);
  const policies: PolicyDefinition[] = [
    { ...newest, rules: [{ action: 'keep', pushedWithin: '12h' }], rails: { ...rails, untaggedGrace: '0' } },
  ];
  const before = await askSimulation(registry, { policies });
  expect((await remove(registry, repo, 'index')).status).toBe(202);
  registry.clock.advance(day);
  await registry.collected();
  expect(registry.rows('select 1 from manifest')).toEqual([]);
  expect(registry.rows('select 1 from repository')).toEqual([]);
  const after = await askSimulation(registry, { policies });
  expect(before.broken.map(({ digest, pulls, with: held }) => [digest, pulls, held])).toEqual([
    [child.digest, 1, 'index'],
  ]);
  expect(after.broken).toEqual(before.broken);
  expect(after.total).toMatchObject({ prunedTags: 1, freedBytes: 200, heldBytes: 0, wouldHoldBytes: 0 });
  expect(after.days.map(({ heldBytes, wouldHoldBytes }) => [heldBytes, wouldHoldBytes])).toEqual(
    [
      [200, 0],
      [0, 0],
      [0, 0],
    ].slice(0, after.days.length),
  );
});

test('what was there before anything was remembered is replayed from what it is now, or was when it changed', async () => {
  await using registry = await ServedRegistry.start({ ...atOnce, 'pulls.history': '0' });
  const start = registry.clock.now();
  const old = await pushImage(registry, repo, { tags: ['old', 'moved'] });
  const untagged = await pushImage(registry, repo);
  registry.clock.advance(10 * day);
  await registry.stop();
  await registry.resume(atOnce);
  await pushImage(registry, repo, { tags: ['first'] });
  registry.clock.advance(day);
  await pull(registry, 'old');
  await pull(registry, 'moved');
  registry.clock.advance(day);
  await pushImage(registry, repo, { tags: ['moved'] });
  expect((await remove(registry, repo, untagged.digest)).status).toBe(202);
  const aged: PolicyDefinition = { ...newest, default: 'keep', rules: [{ action: 'prune', olderThan: '10d12h' }] };
  const { head, broken, days } = await askSimulation(registry, { policies: [aged] });
  expect(head?.since).toBe(iso(start + 10 * day));
  expect(broken.map(({ tag, digest, goneAt, pulls }) => [tag, digest, goneAt, pulls])).toEqual([
    ['moved', old.digest, seenAt(start + 10.5 * day), 1],
    ['old', old.digest, seenAt(start + 10.5 * day), 1],
  ]);
  expect(days.map(({ heldBytes, wouldHoldBytes }) => [heldBytes, wouldHoldBytes])).toEqual([
    [600, 400],
    [600, 400],
    // The one that was moved has its new image, and the untagged manifest is gone.
    [600, 400],
  ]);
});

test('a HEAD by a client that may push keeps a tag young, but does not bring it back', async () => {
  await using registry = await ServedRegistry.start({ ...atOnce, 'windows.lease': '1h' });
  await pushImage(registry, repo, { tags: ['young', 'gone'] });
  for (const [tag, ms] of [
    ['young', day],
    ['gone', day],
  ] as const) {
    registry.clock.advance(ms);
    expect((await registry.send(`/v2/${repo}/manifests/${tag}`, { method: 'HEAD' })).status).toBe(200);
  }
  const asked = registry.rows<{ name: string }>('select name from tag where touched_at > pushed_at order by name');
  expect(asked.map(({ name }) => name)).toEqual(['gone', 'young']);
  await pull(registry, 'gone');
  await pull(registry, 'young');
  const aged: PolicyDefinition = { ...newest, default: 'keep', rules: [{ action: 'prune', olderThan: '36h' }] };
  const { broken, total } = await askSimulation(registry, { policies: [aged] });
  expect(broken.map(({ tag, pulls }) => [tag, pulls])).toEqual([['gone', 1]]);
  expect(total).toMatchObject({ prunedTags: 1 });
});

test('another repository that no policy is tried on keeps what it shares', async () => {
  await using registry = await ServedRegistry.start(atOnce);
  const shared = freshBytes(1000);
  await pushImage(registry, repo, { tags: ['one'], layers: [shared] });
  await pushImage(registry, 'other', { tags: ['x'], layers: [shared] });
  registry.clock.advance(day);
  const policies: PolicyDefinition[] = [{ ...newest, rules: [] }];
  const some = await askSimulation(registry, { policies, repository: 'team/*' });
  expect(some.total).toMatchObject({ repositories: 1, prunedTags: 1, freedBytes: 200, wouldHoldBytes: 1200 });
  const all = await askSimulation(registry, { policies });
  expect(all.total).toMatchObject({ repositories: 2, prunedTags: 2, freedBytes: 1400, wouldHoldBytes: 0 });
});

test('what makes no sense is refused in words', async () => {
  await using registry = await ServedRegistry.start();
  expect((await askSimulation(registry, {})).refusal).toBe('the configuration has no policies: give some to simulate');
  const policies = [newest];
  expect((await askSimulation(registry, { policies, since: 'ever' })).refusal).toStartWith('since: it takes');
  expect((await askSimulation(registry, { policies, repository: 'TEAM' })).refusal).toStartWith('repository: ');
  const { total, days } = await askSimulation(registry, { policies });
  expect(total).toMatchObject({ repositories: 0, heldBytes: 0 });
  expect(days).toHaveLength(1);
});
