import { describe, expect, setDefaultTimeout, test } from 'bun:test';
import { isWhole, pushImage, pushIndex } from '../admin/pushed-images.ts';
import { digestOf, freshBytes, imageOf, indexOf, ociIndex, ociManifest } from '../http/content.ts';
import { expectRefusal } from '../http/refusal.ts';
import { ServedRegistry } from '../http/served-registry.ts';
import { findings, purge, repo } from './purging.ts';

setDefaultTimeout(60_000);

describe('what is not purged with it', () => {
  const longerThanALease = 7 * 3_600_000;

  test('of an index that is: its images go when their lease is over, not as ones that wait for a first tag', async () => {
    await using registry = await ServedRegistry.start();
    const image = await pushImage(registry, repo);
    const index = await pushIndex(registry, repo, ['all'], image);
    await purge(registry, { digests: [index.digest] });
    expect(await isWhole(registry, repo, image.digest, image)).toBe(true);
    registry.clock.advance(longerThanALease);
    await registry.collected();
    await expectRefusal(await registry.send(`/v2/${repo}/manifests/${image.digest}`), 404, 'MANIFEST_UNKNOWN');
    await registry.collected();
    expect(await findings(registry)).toEqual([]);
  });

  test('of an image that is: what refers to it goes when its lease is over, and so does what a tag says about it', async () => {
    await using registry = await ServedRegistry.start();
    const image = await pushImage(registry, repo, { tags: ['v1'] });
    const referrer = await pushImage(registry, repo, { subject: image });
    const signature = await pushImage(registry, repo, { tags: [`${image.digest.replace(':', '-')}.sig`] });
    const plan = await (await registry.admin('POST', '/purge/plan', { digests: [image.digest] })).text();
    expect(plan).toContain(`"kind":"referrer","repository":"${repo}","digest":"${referrer.digest}"`);
    await purge(registry, { digests: [image.digest] });
    registry.clock.advance(longerThanALease);
    await registry.collected();
    registry.clock.advance(longerThanALease);
    await registry.collected();
    for (const { digest } of [referrer, signature]) {
      await expectRefusal(await registry.send(`/v2/${repo}/manifests/${digest}`), 404, 'MANIFEST_UNKNOWN');
    }
    expect(await findings(registry)).toEqual([]);
  });

  test('nothing is, where an index or an image lists what is purged and was never here', async () => {
    await using registry = await ServedRegistry.start({ 'manifests.sparse': 'allow' });
    const [child, layer] = [JSON.stringify(imageOf(freshBytes())), freshBytes()];
    const config = freshBytes();
    await registry.pushBlob(repo, config);
    await registry.putManifest(repo, 'index', JSON.stringify(indexOf(child)), ociIndex);
    await registry.putManifest(repo, 'image', JSON.stringify(imageOf(config, layer)), ociManifest);
    await purge(registry, { digests: [digestOf(child), digestOf(layer)] });
    for (const tag of ['index', 'image']) {
      await expectRefusal(await registry.send(`/v2/${repo}/manifests/${tag}`), 403, 'DENIED');
    }
    expect(await findings(registry)).toEqual([]);
  });
});
