import { expect, test } from 'bun:test';
import { pushImage, pushIndex, remove } from '../admin/pushed-images.ts';
import { ServedRegistry, type Settings } from './served-registry.ts';

const repo = 'team/app';
const day = 86_400_000;
const atOnce: Settings = {
  'windows.lease': '0',
  'windows.trash': '0',
  'windows.condemned': '0',
  'windows.neverTagged': '0',
};

interface PushRow {
  readonly what: string;
  readonly tag: string;
  readonly digest: string;
  readonly was: string | null;
  readonly was_pushed_at: number | null;
  readonly was_tagged_at: number | null;
}

function pushes(registry: ServedRegistry) {
  return registry.rows<PushRow>(
    'select what, tag, digest, was, was_pushed_at, was_tagged_at from push_history order by id',
  );
}

function pulls(registry: ServedRegistry) {
  return registry.rows<object>('select day, digest, tag, pulls, last_at from pull_history order by day, tag, digest');
}

async function pull(registry: ServedRegistry, reference: string): Promise<void> {
  expect((await registry.send(`/v2/${repo}/manifests/${reference}`)).status).toBe(200);
}

const nothingBefore = { was: null, was_pushed_at: null, was_tagged_at: null };

test('pulls are counted by manifest, tag and day, with the time of the last', async () => {
  await using registry = await ServedRegistry.start();
  const { digest } = await pushImage(registry, repo, { tags: ['x'] });
  for (const reference of ['x', 'x', digest]) {
    registry.clock.advance(1000);
    await pull(registry, reference);
  }
  await registry.stop();
  const firstDay = Math.floor(registry.clock.now() / day);
  const lastAt = registry.clock.now();
  const first = [
    { day: firstDay, digest, tag: '', pulls: 1, last_at: lastAt },
    { day: firstDay, digest, tag: 'x', pulls: 2, last_at: lastAt - 1000 },
  ];
  expect(pulls(registry)).toEqual(first);

  await registry.resume();
  await pull(registry, 'x');
  await registry.stop();
  await registry.resume();
  registry.clock.advance(day);
  await pull(registry, 'x');
  await registry.stop();
  expect(pulls(registry)).toEqual([
    { day: firstDay, digest, tag: '', pulls: 1, last_at: lastAt },
    { day: firstDay, digest, tag: 'x', pulls: 3, last_at: lastAt },
    { day: firstDay + 1, digest, tag: 'x', pulls: 1, last_at: lastAt + day },
  ]);
});

test('pushes of tags are remembered with what they led to before, and pushes by digest', async () => {
  await using registry = await ServedRegistry.start();
  const start = registry.clock.now();
  const one = await pushImage(registry, repo, { tags: ['x', 'y'] });
  registry.clock.advance(1000);
  const two = await pushImage(registry, repo, { tags: ['x'] });
  registry.clock.advance(1000);
  expect((await registry.putManifest(repo, 'x', two.manifest)).status).toBe(201);
  const untagged = await pushImage(registry, repo);
  expect(pushes(registry)).toEqual([
    { what: 'pushed', tag: 'x', digest: one.digest, ...nothingBefore },
    { what: 'pushed', tag: 'y', digest: one.digest, ...nothingBefore },
    {
      what: 'pushed',
      tag: 'x',
      digest: two.digest,
      was: one.digest,
      was_pushed_at: start,
      was_tagged_at: start,
    },
    {
      what: 'pushed',
      tag: 'x',
      digest: two.digest,
      was: two.digest,
      was_pushed_at: start + 1000,
      was_tagged_at: start + 1000,
    },
    { what: 'pushed', tag: '', digest: untagged.digest, ...nothingBefore },
  ]);
});

test('removals are remembered, of tags and of manifests with their tags, and what comes back', async () => {
  await using registry = await ServedRegistry.start();
  const at = registry.clock.now();
  const one = await pushImage(registry, repo, { tags: ['x', 'y'] });
  expect((await remove(registry, repo, 'x')).status).toBe(202);
  expect((await remove(registry, repo, one.digest)).status).toBe(202);
  const restored = await registry.admin('POST', '/trash/restore', { target: `${repo}@${one.digest}` });
  expect(restored.status).toBe(200);
  const led = { digest: one.digest, was: null, was_pushed_at: at, was_tagged_at: at };
  const pushed = { what: 'pushed', digest: one.digest, ...nothingBefore };
  const rows = pushes(registry).slice(2);
  expect(rows.slice(0, 4)).toEqual([
    { what: 'removed', tag: 'x', ...led },
    { what: 'removed', tag: 'y', ...led },
    { what: 'removed', tag: '', ...led },
    { what: 'pushed', tag: '', ...led },
  ]);
  expect(rows.slice(4)).toEqual([
    { ...pushed, tag: 'x' },
    { ...pushed, tag: 'y' },
  ]);
});

test('of what the collector takes away it is remembered what it was like, and the tags about it', async () => {
  await using registry = await ServedRegistry.start(atOnce);
  const one = await pushImage(registry, repo, { tags: ['one'] });
  const index = await pushIndex(registry, repo, ['index'], one);
  const signature = await pushImage(registry, repo, { tags: [`${index.digest.replace(':', '-')}.sig`] });
  expect((await remove(registry, repo, 'index')).status).toBe(202);
  registry.clock.advance(1000);
  await registry.collected();
  const rows = registry.rows<{ what: string; tag: string; digest: string; manifest: string | null }>(
    'select what, tag, digest, manifest from push_history order by id',
  );
  const gone = rows.slice(4);
  expect(gone.map(({ what, tag, digest }) => [what, tag, digest])).toEqual([
    ['collected', '', index.digest],
    ['removed', `${index.digest.replace(':', '-')}.sig`, signature.digest],
    ['collected', '', signature.digest],
  ]);
  expect(JSON.parse(gone[0]?.manifest ?? '')).toEqual({
    mediaType: 'application/vnd.oci.image.index.v1+json',
    children: [one.digest],
  });
  expect(JSON.parse(gone[2]?.manifest ?? '')).toMatchObject({
    blobs: signature.blobs.toSorted().map((blob) => [blob, 100]),
  });
});

test('what is older than the setting says is forgotten', async () => {
  await using registry = await ServedRegistry.start({ 'pulls.history': '10d' });
  await pushImage(registry, repo, { tags: ['x'] });
  await pull(registry, 'x');
  await registry.stop();
  await registry.resume({ 'pulls.history': '10d' });
  registry.clock.advance(6 * day);
  await pushImage(registry, repo, { tags: ['y'] });
  await pull(registry, 'y');
  await registry.stop();
  await registry.resume({ 'pulls.history': '10d' });
  registry.clock.advance(5 * day);
  await registry.collected();
  expect(pushes(registry).map(({ tag }) => tag)).toEqual(['y']);
  expect(registry.rows<{ tag: string }>('select tag from pull_history').map(({ tag }) => tag)).toEqual(['y']);
});

test('nothing is remembered where the setting is 0, and what was before is forgotten', async () => {
  await using registry = await ServedRegistry.start();
  await pushImage(registry, repo, { tags: ['x'] });
  await registry.stop();
  await registry.resume({ 'pulls.history': '0' });
  registry.clock.advance(1);
  const { digest } = await pushImage(registry, repo, { tags: ['y'] });
  await pull(registry, 'y');
  await remove(registry, repo, digest);
  await registry.stop();
  expect(pushes(registry).map(({ tag }) => tag)).toEqual(['x']);
  expect(pulls(registry)).toEqual([]);
  await registry.resume({ 'pulls.history': '0' });
  registry.clock.advance(day);
  await registry.collected();
  expect(pushes(registry)).toEqual([]);
});
