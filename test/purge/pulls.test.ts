import { expect, setDefaultTimeout, test } from 'bun:test';
import { pushImage } from '../admin/pushed-images.ts';
import { digestOf, freshBytes } from '../http/content.ts';
import { ServedRegistry } from '../http/served-registry.ts';
import { linesOf, purge } from './purging.ts';

setDefaultTimeout(60_000);

const repo = 'team/app';

async function prepared(settings: Parameters<typeof ServedRegistry.start>[0]) {
  const registry = await ServedRegistry.start(settings);
  const bytes = freshBytes(3000);
  const image = await pushImage(registry, repo, { tags: ['v1'], layers: [bytes] });
  return { registry, image, secret: digestOf(bytes) };
}

async function placesOf(registry: ServedRegistry, id: number) {
  return await linesOf(await registry.admin('GET', `/purges/places?id=${id}`));
}

test('the record of a purge knows of pulls that nobody had written down yet, of which no history is kept', async () => {
  const { registry, image, secret } = await prepared({ 'pulls.history': '0' });
  await using _ = registry;
  await registry.send(`/v2/${repo}/manifests/v1`);
  registry.clock.advance(60_000);
  const pulledAt = new Date(registry.clock.now()).toISOString();
  await registry.send(`/v2/${repo}/manifests/v1`);
  registry.clock.advance(60_000);
  const { id } = await purge(registry, { digests: [secret] });
  const places = await placesOf(registry, id);
  expect(places).toContainEqual({
    kind: 'manifest',
    repository: repo,
    digest: image.digest,
    type: 'image',
    state: 'live',
    breaks: true,
    sizeBytes: image.manifest.length,
    lastPulledAt: pulledAt,
  });
  expect(places).toContainEqual({
    kind: 'tag',
    repository: repo,
    tag: 'v1',
    digest: image.digest,
    breaks: true,
    lastPulledAt: pulledAt,
  });
  const record = await (await registry.admin('GET', `/purges/record?id=${id}`)).text();
  expect(record).toContain('How often it was pulled is not known');
});

test('the record of a purge says since when pulls are counted, and what is not', async () => {
  const { registry, secret } = await prepared({});
  await using _ = registry;
  await registry.send(`/v2/${repo}/manifests/v1`);
  const day = new Date(registry.clock.now()).toISOString().slice(0, 10);
  const { id } = await purge(registry, { digests: [secret] });
  const record = await (await registry.admin('GET', `/purges/record?id=${id}`)).text();
  expect(record).toContain(`are counted since ${day}`);
  expect(record).toContain('Downloads of a blob alone are not counted');
});
