import { describe, expect, test } from 'bun:test';
import * as fc from 'fast-check';
import { digestOf } from './digest.ts';
import { parseManifest } from './manifest.ts';
import {
  dockerManifest,
  dockerManifestList,
  dockerSchema1Manifest,
  dockerSignedSchema1Manifest,
  isIndexMediaType,
  ociArtifactManifest,
  ociEmptyJson,
  ociImageConfig,
  ociImageIndex,
  ociImageManifest,
} from './media-types.ts';

type Json = Readonly<Record<string, unknown>>;

const encoder = new TextEncoder();
const gzipLayer = 'application/vnd.oci.image.layer.v1.tar+gzip';
const nonDistributableLayer = 'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip';

function digest(content: string): string {
  return digestOf('sha256', encoder.encode(content));
}

function descriptor(content: string, mediaType = gzipLayer): Json {
  return { mediaType, digest: digest(content), size: content.length };
}

const config = descriptor('config', ociImageConfig);
const image: Json = {
  schemaVersion: 2,
  mediaType: ociImageManifest,
  config,
  layers: [descriptor('base'), descriptor('application')],
};
const index: Json = {
  schemaVersion: 2,
  mediaType: ociImageIndex,
  manifests: [descriptor('amd64', ociImageManifest), descriptor('arm64', ociImageManifest)],
};

function without(fields: Json, ...names: readonly string[]): Json {
  return Object.fromEntries(Object.entries(fields).filter(([name]) => !names.includes(name)));
}

function parse(body: unknown, contentType?: string) {
  return parseManifest(encoder.encode(JSON.stringify(body)), contentType);
}

/** The manifest that must have been read. */
function read(body: unknown, contentType?: string) {
  const parsed = parse(body, contentType);
  if (!parsed.ok) throw new Error(parsed.message);
  return parsed.manifest;
}

/** The refusal that must have been given. */
function refusal(body: unknown, contentType?: string) {
  const parsed = parse(body, contentType);
  if (parsed.ok) throw new Error(`it was accepted as ${parsed.manifest.mediaType}`);
  return parsed;
}

describe('an image manifest', () => {
  test('needs its config and its layers, in their order', () => {
    const manifest: unknown = read(image, ociImageManifest);
    expect(manifest).toEqual({
      kind: 'image',
      mediaType: ociImageManifest,
      artifactType: ociImageConfig,
      subject: undefined,
      embeddedSubject: undefined,
      annotations: undefined,
      blobs: [
        { digest: digest('config'), sizeBytes: 6, role: 'config', required: true },
        { digest: digest('base'), sizeBytes: 4, role: 'layer', required: true },
        { digest: digest('application'), sizeBytes: 11, role: 'layer', required: true },
      ],
      children: [],
    });
  });

  test('of Docker schema 2 is read alike, whether its type stands in the body or in the Content-Type', () => {
    for (const manifest of [
      read({ ...image, mediaType: dockerManifest }),
      read(without(image, 'mediaType'), dockerManifest),
    ]) {
      expect(manifest).toMatchObject({ kind: 'image', mediaType: dockerManifest });
      expect(manifest.blobs).toHaveLength(3);
    }
  });

  test('may have no layers, but must say so', () => {
    expect(read({ ...image, layers: [] }).blobs).toHaveLength(1);
    expect(refusal({ ...image, layers: null }).detail).toEqual({ path: 'layers' });
    expect(refusal(without(image, 'layers')).message).toContain('at layers: it must be an array of descriptors');
  });

  test('must have a config', () => {
    expect(refusal({ ...image, config: null }).detail).toEqual({ path: 'config' });
    expect(refusal(without(image, 'config')).detail).toEqual({ path: 'config' });
  });

  test('names each blob once, by its first use', () => {
    const empty = descriptor('{}', ociEmptyJson);
    const manifest = read({
      ...image,
      config: empty,
      layers: [empty, descriptor('a'), descriptor('b'), descriptor('a')],
    });
    expect(manifest.blobs.map(({ digest: each, role }) => [String(each), role])).toEqual([
      [digest('{}'), 'config'],
      [digest('a'), 'layer'],
      [digest('b'), 'layer'],
    ]);
  });

  test('does not require layers that clients do not upload, unless they are used otherwise too', () => {
    const urls = ['https://example.com/layer'];
    const required = (layers: readonly Json[]) =>
      read({ ...image, layers })
        .blobs.slice(1)
        .map((blob) => blob.required);
    expect(required([{ ...descriptor('a', nonDistributableLayer), urls }, descriptor('b')])).toEqual([false, true]);
    expect(required([descriptor('a', nonDistributableLayer)])).toEqual([false]);
    expect(required([descriptor('a', nonDistributableLayer), descriptor('a')])).toEqual([true]);
    expect(required([descriptor('a'), descriptor('a', nonDistributableLayer)])).toEqual([true]);
    expect(read({ ...image, config: descriptor('a', nonDistributableLayer), layers: [] }).blobs[0]?.required).toBe(
      true,
    );
  });

  test('requires a blob that it has a source or an embedded copy of', () => {
    const layers = [
      { ...descriptor('a'), urls: ['https://example.com/layer'] },
      { ...descriptor('b'), data: 'Yg==' },
    ];
    expect(read({ ...image, layers }).blobs.every((blob) => blob.required)).toBe(true);
  });

  test('is known by its artifact type, or else by that of its config', () => {
    expect(read({ ...image, artifactType: 'application/vnd.example' }).artifactType).toBe('application/vnd.example');
    expect(read({ ...image, artifactType: '' }).artifactType).toBe(ociImageConfig);
    expect(read({ ...image, artifactType: null }).artifactType).toBe(ociImageConfig);
    expect(read({ ...image, mediaType: dockerManifest }).artifactType).toBe(ociImageConfig);
  });

  test('has a subject and annotations where it names them', () => {
    const subject = descriptor('subject', ociImageManifest);
    const manifest = read({ ...image, subject, annotations: { 'org.example': 'yes' } });
    expect<string | undefined>(manifest.subject?.digest).toBe(digest('subject'));
    expect(manifest.embeddedSubject).toBeUndefined();
    const embedding = read({ ...image, subject: { ...subject, data: 'c3ViamVjdA==' } });
    expect<string | undefined>(embedding.embeddedSubject).toBe(digest('subject'));
    expect(manifest.annotations).toEqual({ 'org.example': 'yes' });
    expect(manifest.blobs).toHaveLength(3);
    expect(read({ ...image, subject: null, annotations: null })).toMatchObject({
      subject: undefined,
      annotations: undefined,
    });
  });

  test('may have fields that the specification does not know', () => {
    expect(read({ ...image, blobs: 'ours', 'org.example': { nested: [1] } }).blobs).toHaveLength(3);
  });
});

describe('an index', () => {
  test('lists manifests, each once, in their order', () => {
    const again = [descriptor('b', ociImageIndex), descriptor('a', ociImageManifest), descriptor('b')];
    const manifest: unknown = read({ ...index, manifests: again });
    expect(manifest).toEqual({
      kind: 'index',
      mediaType: ociImageIndex,
      artifactType: undefined,
      subject: undefined,
      embeddedSubject: undefined,
      annotations: undefined,
      blobs: [],
      children: [
        { digest: digest('b'), sizeBytes: 1, mediaType: ociImageIndex },
        { digest: digest('a'), sizeBytes: 1, mediaType: ociImageManifest },
      ],
    });
  });

  test('of Docker is read alike', () => {
    expect(read({ ...index, mediaType: dockerManifestList })).toMatchObject({ kind: 'index' });
  });

  test('may be empty, but must have its list', () => {
    expect(read({ ...index, manifests: [] }).children).toEqual([]);
    expect(refusal({ ...index, manifests: null }).detail).toEqual({ path: 'manifests' });
    expect(refusal(without(index, 'manifests')).detail).toEqual({ path: 'manifests' });
  });

  test('is known by its own artifact type only', () => {
    expect(read({ ...index, artifactType: 'application/vnd.example' }).artifactType).toBe('application/vnd.example');
    expect(read({ ...index, artifactType: '' }).artifactType).toBeUndefined();
  });
});

describe('the media type', () => {
  test('may be missing everywhere, for what shows in its fields', () => {
    expect(read(without(image, 'mediaType')).mediaType).toBe(ociImageManifest);
    expect(read(without(index, 'mediaType')).mediaType).toBe(ociImageIndex);
    expect(read({ ...image, mediaType: null }).mediaType).toBe(ociImageManifest);
    expect(refusal({ schemaVersion: 2 }).detail).toEqual({ path: 'mediaType' });
    expect(refusal(without(image, 'mediaType', 'config')).detail).toEqual({ path: 'config' });
  });

  test('must be the same in the body and in the Content-Type', () => {
    const refused = refusal(image, dockerManifest);
    expect(refused.message).toContain('send the same in both');
    expect(refused.detail).toEqual({ path: 'mediaType', mediaType: ociImageManifest, contentType: dockerManifest });
    expect(refusal(image, ociImageIndex).ok).toBe(false);
    expect(refusal(image, 'nonsense').ok).toBe(false);
  });

  test.each([
    `${ociImageManifest}; charset=utf-8`,
    `${ociImageManifest};x=";"`,
    ` ${ociImageManifest.toUpperCase()} `,
    'application/json',
    'application/octet-stream',
    'text/plain;charset=UTF-8',
    'application/x-www-form-urlencoded',
    '',
    ';',
  ])('is not contradicted by a Content-Type of %j', (contentType) => {
    expect(read(image, contentType).mediaType).toBe(ociImageManifest);
    expect(read(without(image, 'mediaType'), contentType).mediaType).toBe(ociImageManifest);
  });

  test.each([
    'text/html',
    'image/svg+xml',
    'application/',
    'application/a b',
    'application/a\r\nset-cookie: x',
    '',
    'a',
  ])('may not be %j, which no answer could safely carry', (mediaType) => {
    expect(refusal({ ...image, mediaType }).detail).toEqual({ path: 'mediaType' });
  });

  test('of Schema 1 is refused with the way out, however it shows', () => {
    const signed = { schemaVersion: 1, name: 'library/old', tag: 'latest', fsLayers: [{ blobSum: digest('a') }] };
    for (const refused of [
      refusal(signed),
      refusal(without(signed, 'fsLayers')),
      refusal(signed, dockerSignedSchema1Manifest),
      refusal(signed, 'application/json'),
      refusal({ ...signed, schemaVersion: 2 }, ociImageManifest),
      refusal({ ...image, mediaType: dockerSchema1Manifest }),
      refusal(without(image, 'mediaType'), dockerSchema1Manifest),
    ]) {
      expect(refused.message).toContain('Schema 1, which is no longer accepted');
      expect(refused.message).toContain('push it again with a current client');
    }
  });
});

describe('an artifact manifest of an unknown type', () => {
  const artifact = { mediaType: ociArtifactManifest, artifactType: 'application/vnd.example.sbom' };

  test('needs its blobs as an image needs its layers', () => {
    const subject = descriptor('subject', ociImageManifest);
    const manifest = read({ ...artifact, blobs: [descriptor('a'), descriptor('b')], subject }, ociArtifactManifest);
    expect(manifest).toMatchObject({
      kind: 'image',
      mediaType: ociArtifactManifest,
      artifactType: 'application/vnd.example.sbom',
      subject: { digest: digest('subject') },
    });
    expect(manifest.blobs.map((blob) => [String(blob.digest), blob.role, blob.required])).toEqual([
      [digest('a'), 'layer', true],
      [digest('b'), 'layer', true],
    ]);
  });

  test('may have the fields of an image or of an index, and all of them count', () => {
    const mediaType = 'application/vnd.example.manifest.v3+json';
    const three = read({ mediaType, config, layers: [descriptor('a')], blobs: [descriptor('b')] });
    expect(three.blobs.map((blob) => String(blob.digest))).toEqual([digest('config'), digest('a'), digest('b')]);
    expect(three.artifactType).toBe(ociImageConfig);
    expect(read(without(index, 'mediaType'), mediaType)).toMatchObject({ kind: 'index', mediaType });
  });

  test('may refer to nothing, if it says that it is an artifact', () => {
    expect(read(artifact).blobs).toEqual([]);
    expect(read({ ...artifact, blobs: null }).blobs).toEqual([]);
    expect(read(without({ ...artifact, subject: descriptor('subject') }, 'artifactType')).blobs).toEqual([]);
  });

  test('is refused if what it refers to cannot be found', () => {
    expect(refusal({ mediaType: 'application/vnd.example+json', things: [descriptor('a')] }).message).toContain(
      'what it refers to cannot be found',
    );
    expect(refusal({ ...artifact, blobs: { a: descriptor('a') } }).detail).toEqual({ path: 'blobs' });
  });
});

describe('a manifest is refused', () => {
  test.each([
    [{ ...image, manifests: [] }, ['config', 'layers', 'manifests']],
    [{ ...index, layers: [] }, ['layers', 'manifests']],
    [{ ...index, config }, ['config', 'manifests']],
    [{ mediaType: ociArtifactManifest, blobs: [], manifests: [] }, ['blobs', 'manifests']],
  ])('when one client would read an image and another an index', (body, fields) => {
    expect(refusal(body).detail).toEqual({ fields });
  });

  test.each([
    ['schemaVersion', { ...image, schemaVersion: '2' }],
    ['schemaVersion', without(image, 'schemaVersion')],
    ['schemaVersion', { ...index, schemaVersion: 3 }],
    ['mediaType', { ...image, mediaType: 7 }],
    ['config', { ...image, config: [] }],
    ['config.digest', { ...image, config: without(config, 'digest') }],
    ['layers', { ...image, layers: { 0: descriptor('a') } }],
    ['layers[0]', { ...image, layers: [null] }],
    ['layers[1].digest', { ...image, layers: [descriptor('a'), { ...descriptor('b'), digest: 'sha256:B' }] }],
    ['layers[1].size', { ...image, layers: [descriptor('a'), { ...descriptor('b'), size: -1 }] }],
    ['layers[0].size', { ...image, layers: [{ ...descriptor('b'), size: 1.5 }] }],
    ['manifests[0].mediaType', { ...index, manifests: [without(descriptor('a'), 'mediaType')] }],
    [
      'manifests[2].digest',
      { ...index, manifests: [descriptor('a'), descriptor('a'), { ...descriptor('b'), digest: 7 }] },
    ],
    ['subject.digest', { ...image, subject: { ...descriptor('a'), digest: `blake3:${'0'.repeat(64)}` } }],
    ['subject', { ...image, subject: 'latest' }],
    ['annotations', { ...image, annotations: { a: 1 } }],
    ['artifactType', { ...image, artifactType: ['a'] }],
  ])('naming the field %s', (path, body) => {
    const refused = refusal(body);
    expect(refused.detail).toEqual({ path });
    expect(refused.message).toContain(`the manifest is invalid at ${path}: `);
  });

  test.each(['', 'null', '[]', '"text"', '{', '\ufeff{}'])('when its body is %j', (text) => {
    expect(parseManifest(encoder.encode(text), ociImageManifest)).toMatchObject({ ok: false, detail: {} });
  });
});

describe('whatever is sent as a manifest', () => {
  test('deep nesting and long lists are read or refused, without an exception', () => {
    const deep = `${JSON.stringify(image).slice(0, -1)},"x":${'['.repeat(10_000)}${']'.repeat(10_000)}}`;
    expect(typeof parseManifest(encoder.encode(deep), undefined).ok).toBe('boolean');
    const layers = Array.from({ length: 30_000 }, (_, number) => descriptor(String(number)));
    expect(read({ ...image, layers }).blobs).toHaveLength(30_001);
    expect(refusal({ ...image, layers: [...layers, 7] }).detail).toEqual({ path: 'layers[30000]' });
  });

  test('any bytes are read or refused', () => {
    fc.assert(
      fc.property(
        fc.uint8Array(),
        fc.option(fc.string({ unit: 'binary' }), { nil: undefined }),
        (bytes, contentType) => {
          expect(typeof parseManifest(bytes, contentType).ok).toBe('boolean');
        },
      ),
    );
  });

  test('any JSON is refused with a message, or read so that it can be stored and served', () => {
    const anything = fc.jsonValue({ maxDepth: 2 });
    const mediaTypes = fc.constantFrom(
      ociImageManifest,
      ociImageIndex,
      dockerManifest,
      dockerManifestList,
      ociArtifactManifest,
      dockerSchema1Manifest,
      'application/vnd.example+json',
      'application/json',
      'text/html',
      '',
    );
    const someDescriptor = fc.record({
      mediaType: fc.constantFrom(gzipLayer, nonDistributableLayer, ociImageManifest, ociImageConfig),
      digest: fc.constantFrom(...['a', 'b', 'c', 'd'].map(digest)),
      size: fc.nat(),
    });
    const rarely = (usual: fc.Arbitrary<unknown>) =>
      fc.oneof({ weight: 20, arbitrary: usual }, { weight: 1, arbitrary: anything });
    const almost = fc.record(
      {
        schemaVersion: rarely(fc.constant(2)),
        mediaType: rarely(mediaTypes),
        config: rarely(someDescriptor),
        layers: rarely(fc.array(rarely(someDescriptor), { maxLength: 4 })),
        blobs: rarely(fc.array(rarely(someDescriptor), { maxLength: 4 })),
        manifests: rarely(fc.array(rarely(someDescriptor), { maxLength: 4 })),
        subject: rarely(someDescriptor),
        annotations: rarely(fc.dictionary(fc.string(), fc.string())),
        artifactType: rarely(fc.string()),
      },
      { requiredKeys: [] },
    );
    let accepted = 0;
    fc.assert(
      fc.property(fc.oneof(anything, almost), fc.option(rarely(mediaTypes)), (body, sent) => {
        const parsed = parse(body, typeof sent === 'string' ? sent : undefined);
        if (!parsed.ok) {
          expect(parsed.message.length).toBeGreaterThan(20);
          expect(parsed.message).not.toMatch(/undefined|\[object/);
          return;
        }
        accepted++;
        const { kind, mediaType, blobs, children } = parsed.manifest;
        expect(new Response('', { headers: { 'content-type': mediaType } }).headers.get('content-type')).toBe(
          mediaType,
        );
        if (isIndexMediaType(mediaType)) expect(kind).toBe('index');
        expect(kind === 'index' ? blobs : children).toEqual([]);
        expect(new Set(blobs.map((blob) => blob.digest)).size).toBe(blobs.length);
        expect(new Set(children.map((child) => child.digest)).size).toBe(children.length);
      }),
      { numRuns: 3000 },
    );
    // Otherwise the property would say nothing of what is read.
    expect(accepted).toBeGreaterThan(20);
  });
});
