import { type Descriptor, imageOf, indexOf, layerDescriptor, ociIndex, ociManifest } from '../http/content.ts';
import { type Digest, digestOf } from '../../src/oci/digest.ts';
import { parseRepositoryName, parseTagName, type RepositoryName, type TagName } from '../../src/oci/names.ts';

// Everything that the schedules push: few things, so that they meet often.

/** A blob, and what it consists of. */
export interface KnownBlob {
  readonly name: string;
  readonly digest: Digest;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** A manifest, and what it refers to. */
export interface KnownManifest {
  readonly name: string;
  readonly digest: Digest;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly mediaType: string;
  readonly kind: 'image' | 'index';
  /** Which it cannot be pushed without, unless sparse manifests are allowed. */
  readonly blobs: readonly Digest[];
  /** Which it holds where they are there: layers that clients need not upload. */
  readonly foreignBlobs: readonly Digest[];
  readonly children: readonly Digest[];
  readonly subject: Digest | undefined;
}

const encoder = new TextEncoder();

function blob(name: string): KnownBlob {
  const bytes = encoder.encode(`the content of ${name}`);
  return { name, digest: digestOf('sha256', bytes), bytes };
}

export const blobs = ['blob 0', 'blob 1', 'blob 2', 'blob 3', 'blob 4'].map(blob);

function blobAt(place: number): KnownBlob {
  const found = blobs[place];
  if (found === undefined) throw new Error(`there is no blob ${place}`);
  return found;
}

function describe(manifest: KnownManifest): Descriptor {
  return { mediaType: manifest.mediaType, digest: manifest.digest, size: manifest.bytes.byteLength };
}

function known(
  name: string,
  kind: 'image' | 'index',
  body: object,
  refers: { blobs?: readonly KnownBlob[]; foreign?: readonly KnownBlob[]; children?: readonly KnownManifest[] },
  subject?: KnownManifest,
): KnownManifest {
  const withSubject = subject === undefined ? body : { ...body, subject: describe(subject) };
  const bytes = encoder.encode(JSON.stringify({ ...withSubject, annotations: { 'org.example.name': name } }));
  return {
    name,
    digest: digestOf('sha256', bytes),
    bytes,
    mediaType: kind === 'image' ? ociManifest : ociIndex,
    kind,
    blobs: (refers.blobs ?? []).map(({ digest }) => digest),
    foreignBlobs: (refers.foreign ?? []).map(({ digest }) => digest),
    children: (refers.children ?? []).map(({ digest }) => digest),
    subject: subject?.digest,
  };
}

function image(name: string, content: readonly KnownBlob[], subject?: KnownManifest): KnownManifest {
  const [config, ...layers] = content.map(({ bytes }) => bytes);
  if (config === undefined) throw new Error('an image has a config');
  return known(name, 'image', imageOf(config, ...layers), { blobs: content }, subject);
}

function index(name: string, children: readonly KnownManifest[], subject?: KnownManifest): KnownManifest {
  const body = { ...indexOf(), manifests: children.map(describe) };
  return known(name, 'index', body, { children }, subject);
}

/** An image one of whose layers clients need not upload. */
function imageWithForeignLayer(name: string, config: KnownBlob, layer: KnownBlob): KnownManifest {
  const mediaType = 'application/vnd.oci.image.layer.nondistributable.v1.tar';
  const body = { ...imageOf(config.bytes), layers: [{ ...layerDescriptor(layer.bytes), mediaType }] };
  return known(name, 'image', body, { blobs: [config], foreign: [layer] });
}

const imageA = image('image A', [blobAt(0), blobAt(1), blobAt(2)]);
const imageB = image('image B', [blobAt(3), blobAt(1)]);
const imageF = imageWithForeignLayer('image F', blobAt(4), blobAt(2));
const indexX = index('index X', [imageA, imageB]);
const indexY = index('index Y', [imageB, indexX]);
const signature = image('signature of A', [blobAt(0)], imageA);
const signatureOfSignature = image('signature of the signature', [blobAt(3)], signature);
/** It and what it lists would hold each other for ever, if a subject were a hold by itself (R50). */
const selfish = index('index of its subject', [imageB], imageB);
const empty = index('empty index', []);

export const manifests: readonly KnownManifest[] = [
  imageA,
  imageB,
  imageF,
  indexX,
  indexY,
  signature,
  signatureOfSignature,
  selfish,
  empty,
];

const byDigest = new Map(manifests.map((manifest) => [manifest.digest, manifest]));

export function manifestOf(digest: Digest): KnownManifest {
  const found = byDigest.get(digest);
  if (found === undefined) throw new Error(`nobody has pushed ${digest}`);
  return found;
}

/** Where a manifest is only known by its digest. */
export function nameOf(digest: Digest): string {
  return manifestOf(digest).name;
}

function repository(text: string): RepositoryName {
  const name = parseRepositoryName(text);
  if (name === undefined) throw new Error(`${text} is no repository's name`);
  return name;
}

function tag(text: string): TagName {
  const name = parseTagName(text);
  if (name === undefined) throw new Error(`${text} is no tag's name`);
  return name;
}

export const repositories: readonly RepositoryName[] = [repository('one'), repository('two/deep')];

/** The last one is how older clients attach a signature to image A. */
export const tags: readonly TagName[] = [tag('x'), tag('y'), tag(`${imageA.digest.replace(':', '-')}.sig`)];

/** The tags that go when a manifest goes, since they are about it. */
export function tagsAbout(digest: Digest): readonly TagName[] {
  return tags.filter((name) => name.startsWith(digest.replace(':', '-')));
}
