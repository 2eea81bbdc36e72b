import { describe, expect, setDefaultTimeout, test } from 'bun:test';
import { isWhole, pushImage } from '../admin/pushed-images.ts';
import { digestOf, freshBytes, imageOf, ociManifest } from '../http/content.ts';
import { expectRefusal } from '../http/refusal.ts';
import { ServedRegistry } from '../http/served-registry.ts';
import { findings, linesOf, other, purge, repo } from './purging.ts';

setDefaultTimeout(60_000);

describe('a purge of a manifest', () => {
  test('removes its bytes from the database, from its free pages and from its log', async () => {
    await using registry = await ServedRegistry.start();
    const config = freshBytes();
    await registry.pushBlob(repo, config);
    const secret = `password-${crypto.randomUUID()}`;
    // One that takes pages of its own, and one that shares a page with others.
    for (const [tag, padding] of [
      ['large', 20_000],
      ['small', 1],
    ] as const) {
      const annotations = { secret, padding: 'x'.repeat(padding) };
      const manifest = JSON.stringify({ ...imageOf(config), annotations });
      await registry.putManifest(repo, tag, manifest, ociManifest);
    }
    expect(await isInDatabase(registry, secret)).toBe(true);
    await purge(registry, { images: [`${repo}:large`, `${repo}:small`] });
    expect(await isInDatabase(registry, secret)).toBe(false);
    await expectRefusal(await registry.send(`/v2/${repo}/manifests/large`), 403, 'DENIED');
    expect(await findings(registry)).toEqual([]);
  });

  test('removes those that have a purged blob in themselves from there as well', async () => {
    await using registry = await ServedRegistry.start();
    const [config, secret] = [freshBytes(), freshBytes(300)];
    await registry.pushBlob(repo, config);
    await registry.pushBlob(repo, secret);
    const data = Buffer.from(secret).toString('base64');
    const image = imageOf(config, secret);
    const layers = image.layers.map((layer) => ({ ...layer, data }));
    expect((await registry.putManifest(repo, 'v1', { ...image, layers })).status).toBe(201);
    expect(await isInDatabase(registry, data)).toBe(true);
    await purge(registry, { digests: [digestOf(secret)] });
    expect(await isInDatabase(registry, data)).toBe(false);
  });

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

/** Whether a text is in the database's files. */
async function isInDatabase(registry: ServedRegistry, text: string): Promise<boolean> {
  for (const file of ['wherry.db', 'wherry.db-wal']) {
    const bytes = Buffer.from(await Bun.file(`${registry.dataDirectory}/${file}`).arrayBuffer());
    if (bytes.includes(text)) return true;
  }
  return false;
}
