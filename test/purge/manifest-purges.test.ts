import { describe, expect, setDefaultTimeout, test } from 'bun:test';
import { isWhole, pushImage } from '../admin/pushed-images.ts';
import { digestOf, freshBytes } from '../http/content.ts';
import { expectRefusal } from '../http/refusal.ts';
import { ServedRegistry } from '../http/served-registry.ts';
import { findings, linesOf, other, purge, repo } from './purging.ts';

setDefaultTimeout(60_000);

describe('a purge of a manifest', () => {
  test('takes with an image only what no other image needs, unless that is wanted', async () => {
    await using registry = await ServedRegistry.start();
    const shared = freshBytes();
    const image = await pushImage(registry, repo, { tags: ['v1'], layers: [shared] });
    const neighbour = await pushImage(registry, other, { tags: ['v2'], layers: [shared] });
    const planned = await registry.admin('POST', '/purge/plan', { images: [`${repo}:v1`] });
    const plan = JSON.stringify(await linesOf(planned));
    expect(plan).toContain(
      `"digest":"${digestOf(shared)}","kind":"blob","sharedWith":"${other}@${neighbour.digest}","isTaken":false`,
    );
    const { digests } = await purge(registry, { images: [`${repo}:v1`] });
    expect(digests.map(({ digest }) => digest).sort()).toEqual(
      [image.digest, ...image.blobs.filter((blob) => blob !== digestOf(shared))].sort(),
    );
    expect(await isWhole(registry, other, 'v2', neighbour)).toBe(true);
    await purge(registry, { images: [`${other}:v2`], shared: true });
    await expectRefusal(await registry.send(`/v2/${other}/blobs/${digestOf(shared)}`), 403, 'DENIED');
    expect(await findings(registry)).toEqual([]);
  });
});
