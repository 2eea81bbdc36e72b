import { expect, test } from 'bun:test';
import { digestOf, freshBytes, imageOf } from './content.ts';
import { ServedRegistry } from './served-registry.ts';

const repo = 'times/image';
const hour = 3_600_000;

async function freshImage(registry: ServedRegistry): Promise<string> {
  const config = freshBytes();
  await registry.pushBlob(repo, config);
  return JSON.stringify(imageOf(config));
}

test('remembers when a tag moved, and when it was last pushed', async () => {
  await using registry = await ServedRegistry.start();
  const first = await freshImage(registry);
  const push = async (text: string) => {
    registry.clock.advance(hour);
    expect((await registry.putManifest(repo, 'x', text)).status).toBe(201);
    return registry.clock.now();
  };
  const times = () => registry.rows('select moved_at, pushed_at, touched_at, last_pulled_at from tag');
  const at = await push(first);
  expect(times()).toEqual([{ moved_at: at, pushed_at: at, touched_at: at, last_pulled_at: null }]);

  await registry.send(`/v2/${repo}/manifests/x`);
  await registry.stop();
  await registry.resume();
  const again = await push(first);
  expect(times()).toEqual([{ moved_at: at, pushed_at: again, touched_at: again, last_pulled_at: at }]);

  const moved = await push(await freshImage(registry));
  expect(times()).toEqual([{ moved_at: moved, pushed_at: moved, touched_at: moved, last_pulled_at: null }]);
});

test('remembers when a manifest had a tag of its own for the last time', async () => {
  await using registry = await ServedRegistry.start();
  const text = await freshImage(registry);
  const taggedAt = () => registry.rows('select tagged_at from manifest');
  const byDigest = async () => expect((await registry.putManifest(repo, digestOf(text), text)).status).toBe(201);
  await byDigest();
  expect(taggedAt()).toEqual([{ tagged_at: null }]);
  registry.clock.advance(hour);
  const tagged = registry.clock.now();
  await registry.putManifest(repo, 'x', text);
  registry.clock.advance(hour);
  await byDigest();
  expect(taggedAt()).toEqual([{ tagged_at: tagged }]);
});

test('reviews a manifest again whose lease a HEAD has renewed, and not for one that has renewed nothing', async () => {
  await using registry = await ServedRegistry.start({ 'windows.lease': '2h' });
  const text = await freshImage(registry);
  await registry.putManifest(repo, 'x', text);
  const reviews = () =>
    registry
      .rows<{ readonly version: number }>(
        "select version from task where kind = 'manifest' and key2 = ?",
        digestOf(text),
      )
      .map((row) => row.version);
  const [before = Number.NaN] = reviews();
  await registry.send(`/v2/${repo}/manifests/x`, { method: 'HEAD' });
  expect(reviews()).toEqual([before]);
  registry.clock.advance(hour + 1);
  await registry.send(`/v2/${repo}/manifests/x`, { method: 'HEAD' });
  expect(reviews()).toEqual([before + 1]);
});
