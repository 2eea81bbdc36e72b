import { describe, expect, setDefaultTimeout, test } from 'bun:test';
import { digestOf, freshBytes, imageOf, ociManifest } from '../http/content.ts';
import { expectRefusal } from '../http/refusal.ts';
import { ServedRegistry } from '../http/served-registry.ts';
import { findings, purge, repo } from '../purge/purging.ts';

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
    expect(isInDatabase(registry, secret)).toBe(true);
    await purge(registry, { images: [`${repo}:large`, `${repo}:small`] });
    expect(isInDatabase(registry, secret)).toBe(false);
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
    expect(isInDatabase(registry, data)).toBe(true);
    await purge(registry, { digests: [digestOf(secret)] });
    expect(isInDatabase(registry, data)).toBe(false);
  });
});

/** Whether a text is in the database's files. */
function isInDatabase(registry: ServedRegistry, text: string): boolean {
  return Buffer.from(registry.tables.everything()).includes(text);
}
