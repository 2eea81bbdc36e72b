import { expect, setDefaultTimeout, test } from 'bun:test';
import { digestOf, freshBytes, imageOf, ociManifest } from '../http/content.ts';
import { pushImage } from '../admin/pushed-images.ts';
import { expectRefusal } from '../http/refusal.ts';
import { ServedRegistry } from '../http/served-registry.ts';
import { findings, other, planOf, purge, repo } from './purging.ts';

setDefaultTimeout(60_000);

/** Pushes an image that is about something and has that in itself. */
async function pushEmbedding(registry: ServedRegistry, to: string, tag: string, subject: string | Uint8Array) {
  const config = freshBytes();
  await registry.pushBlob(to, config);
  const text = JSON.stringify({
    ...imageOf(config),
    subject: {
      mediaType: ociManifest,
      digest: digestOf(subject),
      size: Buffer.byteLength(subject),
      data: Buffer.from(subject).toString('base64'),
    },
  });
  return { text, digest: digestOf(text), answer: await registry.putManifest(to, tag, text, ociManifest) };
}

test('what has a purged manifest in itself, as its subject, is purged with it', async () => {
  await using registry = await ServedRegistry.start();
  const image = await pushImage(registry, repo, { tags: ['v1'] });
  const near = await pushEmbedding(registry, repo, 'near', image.manifest);
  const far = await pushEmbedding(registry, other, 'far', image.manifest);
  const nested = await pushEmbedding(registry, repo, 'nested', near.text);
  await pushImage(registry, repo, { tags: ['plain'], subject: image });
  expect([near, far, nested].map(({ answer }) => answer.status)).toEqual([201, 201, 201]);

  const planned = await planOf(registry, { digests: [image.digest] });
  const hit = planned.places.filter(({ kind }) => kind === 'manifest').map(({ digest }) => digest);
  expect(new Set(hit)).toEqual(new Set([image.digest, near.digest, far.digest, nested.digest]));
  expect(hit).toHaveLength(4);

  const { isClean, places } = await purge(registry, { digests: [image.digest] });
  expect(isClean).toBe(true);
  expect(places).toContainEqual({ kind: 'manifest', count: 4 });
  for (const [name, tag] of [
    [repo, 'near'],
    [other, 'far'],
    [repo, 'nested'],
  ] as const) {
    await expectRefusal(await registry.send(`/v2/${name}/manifests/${tag}`), 403, 'DENIED');
  }
  expect((await registry.send(`/v2/${repo}/manifests/plain`)).status).toBe(200);
  expect(await findings(registry)).toEqual([]);
});

test('what has a purged blob in itself, as its subject, is purged with it', async () => {
  await using registry = await ServedRegistry.start();
  const secret = freshBytes(300);
  await pushEmbedding(registry, repo, 'v1', secret);
  await purge(registry, { digests: [digestOf(secret)] });
  await expectRefusal(await registry.send(`/v2/${repo}/manifests/v1`), 403, 'DENIED');
});

test('what has something in itself that is kept out is not let in, and is found where it is', async () => {
  await using registry = await ServedRegistry.start();
  const secret = freshBytes(300);
  await purge(registry, { digests: [digestOf(secret)] });
  await expectRefusal((await pushEmbedding(registry, repo, 'v1', secret)).answer, 403, 'DENIED');

  const later = freshBytes(300);
  const { digest } = await pushEmbedding(registry, repo, 'v2', later);
  registry.tables.change(`insert into blocked (digest, blocked_at, reason) values (?, 1, 'secret')`, digestOf(later));
  expect(await findings(registry)).toEqual([
    `F10 ${repo}@${digest}: it, or something that it needs or has in itself, has been purged and is kept out`,
  ]);
});
