import { afterAll, beforeAll, expect, test } from 'bun:test';
import {
  digestOf,
  emptyJson,
  freshBytes,
  imageOf,
  indexOf,
  layerDescriptor,
  ociIndex,
  ociManifest,
} from './content.ts';
import { expectRefusal } from './refusal.ts';
import { ServedRegistry } from './served-registry.ts';

const repo = 'pushes/image';
const dockerManifest = 'application/vnd.docker.distribution.manifest.v2+json';
const dockerList = 'application/vnd.docker.distribution.manifest.list.v2+json';
const maxManifestBytes = 4 * 1024 * 1024;
const config = freshBytes();
const layer = freshBytes(500);
const image = imageOf(config, layer);

let registry: ServedRegistry;

beforeAll(async () => {
  registry = await ServedRegistry.start();
  await registry.pushBlob(repo, config);
  await registry.pushBlob(repo, layer);
});

afterAll(async () => {
  await registry[Symbol.asyncDispose]();
});

/** An image that nobody has pushed yet, as text. */
function freshImage(more: object = {}): string {
  return JSON.stringify({ ...image, annotations: { id: crypto.randomUUID() }, ...more });
}

/** A body whose length a client does not tell: of a Blob's own stream it would. */
function unannounced(text: string): ReadableStream<Uint8Array> {
  return new ReadableStream({
    pull(controller) {
      controller.enqueue(new TextEncoder().encode(text));
      controller.close();
    },
  });
}

async function pulled(reference: string): Promise<{ readonly type: string | null; readonly text: string }> {
  const answer = await registry.send(`/v2/${repo}/manifests/${reference}`);
  expect(answer.status).toBe(200);
  return { type: answer.headers.get('content-type'), text: await answer.text() };
}

test('takes a manifest by tag and gives it back byte for byte, by tag and by digest', async () => {
  const text = `\n{ "layers":${JSON.stringify(image.layers)},\t"annotations": {"grüße": "\\u00e4 \\/ 🚢"},
    "config" : ${JSON.stringify(image.config)}, "mediaType":"${ociManifest}", "schemaVersion": 2, "extra": 1.0e1 }\n\n`;
  const answer = await registry.putManifest(repo, 'exact', text);
  expect(answer.status).toBe(201);
  const digest = digestOf(text);
  expect(answer.headers.get('docker-content-digest')).toBe(digest);
  expect(answer.headers.get('location')).toBe(`/v2/${repo}/manifests/${digest}`);
  for (const reference of ['exact', digest]) expect(await pulled(reference)).toEqual({ type: ociManifest, text });
});

test('takes a manifest by digest, and sets every tag that its parameters name', async () => {
  const text = freshImage();
  const answer = await registry.putManifest(repo, `${digestOf(text)}?tag=1&tag=1.2&tag=1.2.3&tag=1.2`, text);
  expect(answer.status).toBe(201);
  expect(answer.headers.get('oci-tag')).toBe('1, 1.2, 1.2.3');
  for (const tag of ['1', '1.2', '1.2.3']) expect((await pulled(tag)).text).toBe(text);

  const untagged = freshImage();
  const plain = await registry.putManifest(repo, digestOf(untagged), untagged);
  expect(plain.headers.has('oci-tag')).toBe(false);
});

test('refuses too many tags at once, and a tag that cannot be one, without setting any', async () => {
  const text = freshImage();
  const many = Array.from({ length: 101 }, (_unused, index) => `tag=many${index}`).join('&');
  const refusal = await expectRefusal(
    await registry.putManifest(repo, `${digestOf(text)}?${many}`, text),
    414,
    'MANIFEST_INVALID',
  );
  expect(refusal.detail).toEqual({ limit: 100, given: 101 });
  await expectRefusal(
    await registry.putManifest(repo, `${digestOf(text)}?tag=good&tag=-bad`, text),
    400,
    'MANIFEST_INVALID',
  );
  for (const reference of ['many0', 'good', digestOf(text)]) {
    expect((await registry.send(`/v2/${repo}/manifests/${reference}`)).status).toBe(404);
  }
});

test('takes a manifest by its sha512 digest', async () => {
  const text = freshImage();
  const digest = digestOf(text, 'sha512');
  const answer = await registry.putManifest(repo, digest, text);
  expect(answer.status).toBe(201);
  expect(answer.headers.get('docker-content-digest')).toBe(digest);
  expect((await pulled(digest)).text).toBe(text);
});

test('refuses bytes that are not what the URL calls them', async () => {
  const text = freshImage();
  const refusal = await expectRefusal(await registry.putManifest(repo, digestOf('other'), text), 400, 'DIGEST_INVALID');
  expect(refusal.detail).toEqual({ expected: digestOf('other'), actual: digestOf(text) });
});

test('refuses a manifest above the limit, however its length is told, and takes one at the limit', async () => {
  const padded = (sizeBytes: number) => freshImage().padEnd(sizeBytes, ' ');
  expect((await registry.putManifest(repo, 'large', padded(maxManifestBytes))).status).toBe(201);

  const announced = await registry.putManifest(repo, 'large', padded(maxManifestBytes + 1));
  expect((await expectRefusal(announced, 413, 'MANIFEST_INVALID')).detail).toEqual({ limit: maxManifestBytes });
  const streamed = await registry.send(`/v2/${repo}/manifests/large`, {
    method: 'PUT',
    headers: { 'content-type': ociManifest },
    body: unannounced(padded(maxManifestBytes + 1)),
  });
  await expectRefusal(streamed, 413, 'MANIFEST_INVALID');
});

test('refuses what is no manifest, and says why', async () => {
  const malformed: Readonly<Record<string, string>> = {
    '': 'JSON',
    '{': 'JSON',
    '[]': 'object',
    '"text"': 'object',
    [JSON.stringify({ ...image, schemaVersion: 3 })]: 'schemaVersion',
    [JSON.stringify({ ...image, config: undefined })]: 'config',
    [JSON.stringify({ ...image, layers: {} })]: 'layers',
    [JSON.stringify({ ...image, layers: [{ ...image.config, digest: 'sha256:no' }] })]: 'digest',
    [JSON.stringify({ ...image, layers: [{ ...image.config, size: -1 }] })]: 'size',
    [JSON.stringify({ ...image, subject: 'x' })]: 'subject',
  };
  for (const [text, named] of Object.entries(malformed)) {
    const refusal = await expectRefusal(await registry.putManifest(repo, 'malformed', text), 400, 'MANIFEST_INVALID');
    expect(refusal.message).toContain(named);
  }
  expect((await registry.send(`/v2/${repo}/manifests/malformed`)).status).toBe(404);
});

test('refuses a Content-Type that contradicts the manifest, and the formats of schema 1', async () => {
  const contradicting = await registry.putManifest(repo, 'typed', freshImage(), ociIndex);
  const refusal = await expectRefusal(contradicting, 400, 'MANIFEST_INVALID');
  expect(refusal.message).toContain(ociIndex);
  const schema1 = JSON.stringify({ schemaVersion: 1, name: repo, tag: 'x', fsLayers: [], history: [] });
  for (const type of ['v1+json', 'v1+prettyjws']) {
    const answer = await registry.putManifest(
      repo,
      'typed',
      schema1,
      `application/vnd.docker.distribution.manifest.${type}`,
    );
    expect((await expectRefusal(answer, 400, 'MANIFEST_INVALID')).message).toMatch(/schema 1/i);
  }
});

test('names everything that a manifest refers to and that was never pushed', async () => {
  const absent = freshBytes();
  const lacking = imageOf(config, layer, absent);
  const refusal = await expectRefusal(
    await registry.putManifest(repo, 'lacking', lacking),
    404,
    'MANIFEST_BLOB_UNKNOWN',
  );
  expect(refusal.detail).toEqual({ blobs: [digestOf(absent)], manifests: [] });
  expect(refusal.message).toContain(digestOf(absent));

  const text = freshImage();
  const index = await registry.putManifest(repo, 'lacking', indexOf(text), ociIndex);
  const { detail } = await expectRefusal(index, 404, 'MANIFEST_BLOB_UNKNOWN');
  expect(detail).toEqual({ blobs: [], manifests: [digestOf(text)] });
});

test('does not take the blobs of another repository for its own', async () => {
  expect((await registry.putManifest('another/image', 'x', image)).status).toBe(404);
});

test('takes indexes, Docker manifests and lists, artifacts, and types that nobody has heard of', async () => {
  const text = freshImage();
  await registry.putManifest(repo, 'child', text);
  const empty = new TextEncoder().encode('{}');
  await registry.pushBlob(repo, empty);
  const artifact = {
    ...image,
    artifactType: 'application/vnd.example.thing',
    config: { ...layerDescriptor(empty), mediaType: emptyJson, data: 'e30=' },
  };
  const docker = JSON.stringify({ ...image, mediaType: dockerManifest });
  const pushes: readonly (readonly [text: string, type: string])[] = [
    [JSON.stringify(indexOf(text)), ociIndex],
    [JSON.stringify({ ...indexOf(), manifests: [] }), ociIndex],
    [docker, dockerManifest],
    [
      JSON.stringify({
        ...indexOf(),
        mediaType: dockerList,
        manifests: [{ mediaType: dockerManifest, digest: digestOf(docker), size: docker.length }],
      }),
      dockerList,
    ],
    [JSON.stringify(artifact), ociManifest],
    [JSON.stringify({ ...image, config: { ...image.config, mediaType: 'application/x-unheard-of' } }), ociManifest],
    [JSON.stringify({ ...image, mediaType: undefined }), ociManifest],
  ];
  for (const [manifest, type] of pushes) {
    expect((await registry.putManifest(repo, 'kinds', manifest, type)).status).toBe(201);
    expect(await pulled('kinds')).toEqual({ type, text: manifest });
  }
});

test('takes layers that may not be distributed, embedded data, and a subject that is not there', async () => {
  const foreign = { mediaType: 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip', size: 5 };
  const nondistributable = { mediaType: 'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip', size: 5 };
  const subject = { mediaType: ociManifest, digest: digestOf('absent subject'), size: 7 };
  const answer = await registry.putManifest(repo, 'special', {
    ...image,
    layers: [
      { ...foreign, digest: digestOf('foreign'), urls: ['https://layers.example/1'] },
      { ...nondistributable, digest: digestOf('nondistributable') },
      { ...layerDescriptor(layer), data: Buffer.from(layer).toString('base64') },
    ],
    subject,
  });
  expect(answer.status).toBe(201);
  expect(answer.headers.get('oci-subject')).toBe(subject.digest);
});

test('refuses references that are neither tag nor digest', async () => {
  for (const reference of ['-x', 'a'.repeat(129), 'ä', 'a b']) {
    await expectRefusal(
      await registry.putManifest(repo, encodeURIComponent(reference), image),
      400,
      'MANIFEST_INVALID',
    );
  }
  for (const reference of ['sha256:abc', 'md5:d41d8cd98f00b204e9800998ecf8427e', 'sha256:']) {
    await expectRefusal(await registry.putManifest(repo, reference, image), 400, 'DIGEST_INVALID');
  }
});

test('names all that is missing, and leaves nothing of the push behind', async () => {
  const [lackedConfig, ...lackedLayers] = Array.from({ length: 7 }, () => freshBytes());
  if (lackedConfig === undefined) throw new Error('seven were made');
  const lacking = JSON.stringify(imageOf(lackedConfig, layer, ...lackedLayers));
  const refused = await registry.putManifest('pushes/nothing', 'lacking', lacking);
  const { detail } = await expectRefusal(refused, 404, 'MANIFEST_BLOB_UNKNOWN');
  expect(detail).toEqual({
    blobs: [lackedConfig, layer, ...lackedLayers].map((blob) => digestOf(blob)),
    manifests: [],
  });
  expect(registry.rows("select * from repository where name = 'pushes/nothing'")).toEqual([]);
  expect(registry.rows('select * from manifest where digest = ?', digestOf(lacking))).toEqual([]);

  const absent = ['first', 'second', 'third'];
  const index = await registry.putManifest(repo, 'lacking', indexOf(...absent), ociIndex);
  expect((await expectRefusal(index, 404, 'MANIFEST_BLOB_UNKNOWN')).detail).toEqual({
    blobs: [],
    manifests: absent.map((text) => digestOf(text)),
  });
});

test('takes a manifest of a type of its own as long as it shows what it needs', async () => {
  const type = 'application/vnd.example.thing.v1+json';
  const absent = freshBytes();
  const thing = (blob: Uint8Array) => ({ mediaType: type, config: image.config, blobs: [layerDescriptor(blob)] });
  const text = JSON.stringify(thing(layer));
  expect((await registry.putManifest(repo, 'thing', text, type)).status).toBe(201);
  expect(await pulled('thing')).toEqual({ type, text });
  const lacking = await registry.putManifest(repo, 'thing', thing(absent), type);
  expect((await expectRefusal(lacking, 404, 'MANIFEST_BLOB_UNKNOWN')).detail).toMatchObject({
    blobs: [digestOf(absent)],
  });
  const opaque = await registry.putManifest(repo, 'thing', { mediaType: type, needs: [layerDescriptor(layer)] }, type);
  await expectRefusal(opaque, 400, 'MANIFEST_INVALID');
});

test('serves a manifest under its type without the parameters that came with it', async () => {
  const text = freshImage({ mediaType: undefined });
  const answer = await registry.putManifest(repo, 'parameters', text, `${ociManifest}; charset=utf-8`);
  expect(answer.status).toBe(201);
  expect(await pulled('parameters')).toEqual({ type: ociManifest, text });
});
