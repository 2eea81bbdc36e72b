import { expect, setDefaultTimeout, test } from 'bun:test';
import { isWhole, pushImage, pushIndex } from '../admin/pushed-images.ts';
import { digestOf, ociIndex, ociManifest } from '../http/content.ts';
import { ServedRegistry } from '../http/served-registry.ts';
import { findings, planOf, purge } from './purging.ts';

setDefaultTimeout(60_000);

const repo = 'team/app';
const longerThanALeaseMs = 7 * 3_600_000;

async function leasesEnd(registry: ServedRegistry): Promise<void> {
  for (let lease = 0; lease < 3; lease++) {
    registry.clock.advance(longerThanALeaseMs);
    await registry.collected();
  }
}

test('a signature that goes with a purged index is listed with its tag, and one under a tag of its own is said to stay', async () => {
  await using registry = await ServedRegistry.start();
  const image = await pushImage(registry, repo);
  const index = await pushIndex(registry, repo, ['all'], image);
  const about = `${index.digest.replace(':', '-')}.sig`;
  const signature = await pushImage(registry, repo, { tags: [about] });
  const kept = await pushImage(registry, repo, { tags: ['signed'], subject: index });
  const { places } = await planOf(registry, { digests: [index.digest] });
  const of = { repository: repo, subject: index.digest };
  expect(places).toContainEqual({ kind: 'child', repository: repo, digest: image.digest, index: index.digest });
  expect(places).toContainEqual({ kind: 'tag-about', ...of, tag: about, digest: signature.digest });
  expect(places).toContainEqual({ kind: 'referrer', ...of, digest: signature.digest });
  expect(places).toContainEqual({ kind: 'referrer', ...of, digest: kept.digest, heldBy: 'the tag signed' });
  await purge(registry, { digests: [index.digest] });
  await leasesEnd(registry);
  expect((await registry.send(`/v2/${repo}/manifests/${signature.digest}`)).status).toBe(404);
  expect((await registry.send(`/v2/${repo}/manifests/${image.digest}`)).status).toBe(404);
  expect(await isWhole(registry, repo, 'signed', kept)).toBe(true);
  expect(await findings(registry)).toEqual([]);
});

test('a tag that is about the very manifest to which it leads keeps that, and the plan says so', async () => {
  await using registry = await ServedRegistry.start();
  const image = await pushImage(registry, repo);
  const index = await pushIndex(registry, repo, ['all'], image);
  const tag = `${image.digest.replace(':', '-')}.att`;
  expect((await registry.putManifest(repo, tag, image.manifest, ociManifest)).status).toBe(201);
  const { places } = await planOf(registry, { digests: [index.digest] });
  const child = { kind: 'child', repository: repo, digest: image.digest, index: index.digest };
  expect(places).toContainEqual({ ...child, heldBy: `the tag ${tag}` });
  await purge(registry, { digests: [index.digest] });
  await leasesEnd(registry);
  expect(await isWhole(registry, repo, tag, image)).toBe(true);
});

test('an index that lists its own subject keeps that, as long as it has its time without a tag, and the plan says so', async () => {
  await using registry = await ServedRegistry.start();
  const image = await pushImage(registry, repo, { tags: ['v1'] });
  const about = await pushImage(registry, repo, { tags: [], subject: image });
  const { digest, manifest } = about;
  const listed = { mediaType: ociManifest, digest, size: manifest.length };
  const index = JSON.stringify({ schemaVersion: 2, mediaType: ociIndex, manifests: [listed], subject: listed });
  expect((await registry.putManifest(repo, digestOf(index), index, ociIndex)).status).toBe(201);
  const { places } = await planOf(registry, { digests: [image.digest] });
  const referrer = { kind: 'referrer', repository: repo, digest, subject: image.digest };
  expect(places).toContainEqual({ ...referrer, heldBy: `the index ${digestOf(index)}` });
  await purge(registry, { digests: [image.digest] });
  await leasesEnd(registry);
  for (const kept of [digest, digestOf(index)]) {
    expect((await registry.send(`/v2/${repo}/manifests/${kept}`)).status).toBe(200);
  }
});
