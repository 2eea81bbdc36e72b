import { type Descriptor, describeKind, parseAnnotations, parseArtifactType, parseDescriptor } from './descriptor.ts';
import type { Digest } from './digest.ts';
import { type JsonObject, parseJsonObject } from './json.ts';
import {
  dockerManifest,
  dockerManifestList,
  isImageMediaType,
  isIndexMediaType,
  isNonDistributable,
  isSchema1MediaType,
  ociImageIndex,
  ociImageManifest,
} from './media-types.ts';
import { quote } from './quote.ts';

/** What a manifest says, as far as a registry must know it. */
export interface Manifest {
  /** `index` lists manifests; everything else, artifacts of unknown types included, is an `image`. */
  readonly kind: 'image' | 'index';
  /** The Content-Type that it is served with. */
  readonly mediaType: string;
  /** What the referrers API calls it (spec.md, "Listing Referrers"). */
  readonly artifactType: string | undefined;
  readonly subject: Descriptor | undefined;
  /** Its subject, where it has that in itself (image-spec descriptor.md, `data`): of what it needs, that is an edge. */
  readonly embeddedSubject: Digest | undefined;
  readonly annotations: Readonly<Record<string, string>> | undefined;
  /** What it needs of blobs, each digest once, in the order in which they first occur. */
  readonly blobs: readonly BlobReference[];
  /** What an index lists, each digest once, in the order in which they first occur. */
  readonly children: readonly ChildReference[];
}

export interface BlobReference {
  readonly digest: Digest;
  readonly sizeBytes: number;
  readonly role: 'config' | 'layer';
  /** False where all that it is used for is a layer that clients don't upload. */
  readonly required: boolean;
}

export interface ChildReference {
  readonly digest: Digest;
  readonly sizeBytes: number;
  readonly mediaType: string;
}

export type ManifestParse = { readonly ok: true; readonly manifest: Manifest } | ManifestProblem;

export interface ManifestProblem {
  readonly ok: false;
  readonly message: string;
  /** Names the field at fault as `path`, where there is one. */
  readonly detail: Readonly<Record<string, unknown>>;
}

/**
 * Reads a manifest (image-spec manifest.md, image-index.md; Docker schema 2) from the bytes that were pushed and the
 * Content-Type they came with. Never throws.
 *
 * Its media type is the body's, or else the Content-Type's, or else it shows in the fields; a body and a Content-Type
 * that contradict each other are refused (spec.md, "Pushing Manifests"), and so is a body that one client would read as
 * an image and another as an index.
 *
 * A manifest of an unknown type is an artifact: it is accepted when everything it refers to is found where the known
 * types have it (`config`, `layers`, `manifests`, or `blobs` as in the withdrawn OCI artifact manifest), or when it says
 * that it is one by a `subject` or an `artifactType`. Any other would be kept without what it needs, so it is refused.
 */
export function parseManifest(bytes: Uint8Array, contentType: string | undefined): ManifestParse {
  const parsed = parseJsonObject(bytes);
  if (!parsed.ok) return problem(`the manifest cannot be read: ${parsed.message}`, { sizeBytes: bytes.byteLength });
  const body = parsed.object;
  const type = mediaTypeOf(body, contentType);
  return type.ok ? readManifest(body, type.mediaType) : type;
}

function readManifest(body: JsonObject, mediaType: string): ManifestParse {
  const isKnown = isImageMediaType(mediaType) || isIndexMediaType(mediaType);
  const blobFields = isKnown ? ['config', 'layers'] : ['config', 'layers', 'blobs'];
  const given = blobFields.filter((field) => isGiven(body[field]));
  const listsManifests = isGiven(body['manifests']);
  if (listsManifests && given.length > 0) {
    const fields = [...given, 'manifests'];
    return problem(`the manifest mixes the fields of an image and of an index: ${fields.join(', ')}`, { fields });
  }
  if (isKnown && body['schemaVersion'] !== 2) return invalidField('schemaVersion', 'it must be the number 2');
  const isIndex = isKnown ? isIndexMediaType(mediaType) : listsManifests;
  if (!isKnown && !isIndex && given.length === 0 && !isGiven(body['subject']) && !isGiven(body['artifactType'])) {
    return problem(
      `the manifest is of the unknown type ${quote(mediaType)} and has none of the fields config, layers, blobs, ` +
        'manifests, subject and artifactType: what it refers to cannot be found',
      { mediaType: mediaType.slice(0, 255) },
    );
  }

  const references = isIndex ? readChildren(body) : readBlobs(body, isKnown ? ['config', 'layers'] : given);
  if (!references.ok) return references;
  const subject = isGiven(body['subject']) ? parseDescriptor(body['subject'], 'subject') : undefined;
  if (subject?.ok === false) return invalidField(subject.problem.path, subject.problem.message);
  const annotations = parseAnnotations(body['annotations'], 'annotations');
  if (!annotations.ok) return invalidField(annotations.problem.path, annotations.problem.message);
  const artifactType = parseArtifactType(body['artifactType'], 'artifactType');
  if (!artifactType.ok) return invalidField(artifactType.problem.path, artifactType.problem.message);

  return {
    ok: true,
    manifest: {
      kind: isIndex ? 'index' : 'image',
      mediaType,
      // spec.md, "Listing Referrers": an image without one is known by its config's type, an index by none.
      artifactType: artifactType.artifactType ?? references.configMediaType,
      subject: subject?.descriptor,
      embeddedSubject: subject?.descriptor.hasData === true ? subject.descriptor.digest : undefined,
      annotations: annotations.annotations,
      blobs: references.blobs,
      children: references.children,
    },
  };
}

interface References {
  readonly ok: true;
  readonly blobs: readonly BlobReference[];
  readonly children: readonly ChildReference[];
  readonly configMediaType: string | undefined;
}

/** Reads what an image refers to, from those of its fields that are named. */
function readBlobs(body: JsonObject, fields: readonly string[]): References | ManifestProblem {
  const blobs = new Map<Digest, BlobReference>();
  let configMediaType: string | undefined;
  for (const field of fields) {
    const role = field === 'config' ? 'config' : 'layer';
    const list = role === 'config' ? readDescriptor(body[field], field) : readDescriptors(body[field], field);
    if (!list.ok) return list;
    for (const { digest, sizeBytes, mediaType } of list.descriptors) {
      if (role === 'config') configMediaType = mediaType;
      const required = role === 'config' || !isNonDistributable(mediaType);
      const before = blobs.get(digest);
      // One use of a blob that needs it is enough to make it needed.
      if (before === undefined) blobs.set(digest, { digest, sizeBytes, role, required });
      else if (required && !before.required) blobs.set(digest, { ...before, required });
    }
  }
  return { ok: true, blobs: [...blobs.values()], children: [], configMediaType };
}

function readChildren(body: JsonObject): References | ManifestProblem {
  const list = readDescriptors(body['manifests'], 'manifests');
  if (!list.ok) return list;
  const children = new Map<Digest, ChildReference>();
  for (const { digest, sizeBytes, mediaType } of list.descriptors) {
    if (!children.has(digest)) children.set(digest, { digest, sizeBytes, mediaType });
  }
  return { ok: true, blobs: [], children: [...children.values()], configMediaType: undefined };
}

interface Descriptors {
  readonly ok: true;
  readonly descriptors: readonly Descriptor[];
}

function readDescriptor(value: unknown, path: string): Descriptors | ManifestProblem {
  const parsed = parseDescriptor(value, path);
  if (!parsed.ok) return invalidField(parsed.problem.path, parsed.problem.message);
  return { ok: true, descriptors: [parsed.descriptor] };
}

function readDescriptors(value: unknown, path: string): Descriptors | ManifestProblem {
  if (!Array.isArray(value)) {
    return invalidField(path, `it must be an array of descriptors, which may be empty; it is ${describeKind(value)}`);
  }
  const descriptors: Descriptor[] = [];
  for (const [index, entry] of value.entries()) {
    const parsed = parseDescriptor(entry, `${path}[${index}]`);
    if (!parsed.ok) return invalidField(parsed.problem.path, parsed.problem.message);
    descriptors.push(parsed.descriptor);
  }
  return { ok: true, descriptors };
}

type MediaTypeParse = { readonly ok: true; readonly mediaType: string } | ManifestProblem;

/** What HTTP libraries send when nobody told them what they send: it says nothing about a manifest. */
const unsaidContentTypes: ReadonlySet<string> = new Set([
  'application/json',
  'application/octet-stream',
  'application/x-www-form-urlencoded',
  'text/plain',
]);

function mediaTypeOf(body: JsonObject, contentType: string | undefined): MediaTypeParse {
  const sent = sentMediaType(contentType);
  const own = body['mediaType'] ?? undefined;
  if (own !== undefined && typeof own !== 'string') {
    return invalidField('mediaType', `it must be a string; it is ${describeKind(own)}`);
  }
  if (body['schemaVersion'] === 1 || isGiven(body['fsLayers']) || isSchema1MediaType(own ?? sent ?? '')) {
    return schema1Problem();
  }
  if (own !== undefined && sent !== undefined && own.toLowerCase() !== sent) {
    return problem(
      `the manifest's mediaType is ${quote(own)}, but it was sent with the Content-Type ${quote(sent)}: send the same in both`,
      { path: 'mediaType', mediaType: own.slice(0, 255), contentType: sent.slice(0, 255) },
    );
  }
  const mediaType = own ?? sent ?? inferredMediaType(body);
  if (mediaType === undefined) {
    return invalidField('mediaType', 'it is missing, and neither the Content-Type nor the fields show what this is');
  }
  if (!isManifestMediaType(mediaType)) {
    return invalidField('mediaType', `${quote(mediaType)} cannot be the type of a manifest: write "application/…"`);
  }
  return { ok: true, mediaType };
}

/** The Content-Type without its parameters, which a registry should ignore (spec.md, "Pushing Manifests"). */
function sentMediaType(contentType: string | undefined): string | undefined {
  if (contentType === undefined) return undefined;
  const parameters = contentType.indexOf(';');
  const mediaType = (parameters === -1 ? contentType : contentType.slice(0, parameters)).trim().toLowerCase();
  return mediaType === '' || unsaidContentTypes.has(mediaType) ? undefined : mediaType;
}

/** A body that names no type, as OCI images of version 1.0 may, shows it in the fields that its type requires. */
function inferredMediaType(body: JsonObject): string | undefined {
  if (isGiven(body['manifests'])) return ociImageIndex;
  return isGiven(body['config']) || isGiven(body['layers']) ? ociImageManifest : undefined;
}

/**
 * Manifests are served under the type that they name, so it must be one that can stand in a header (RFC 6838 section
 * 4.2) and that no browser would show as a page.
 */
function isManifestMediaType(mediaType: string): boolean {
  return /^application\/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}$/i.test(mediaType);
}

function isGiven(value: unknown): boolean {
  return value !== undefined && value !== null;
}

function schema1Problem(): ManifestProblem {
  return problem(
    'this is a Docker Image Manifest Version 2, Schema 1, which is no longer accepted: pull the image and push it again ' +
      `with a current client, which makes it ${dockerManifest} or ${ociImageManifest}`,
    { supported: [ociImageManifest, ociImageIndex, dockerManifest, dockerManifestList] },
  );
}

function invalidField(path: string, message: string): ManifestProblem {
  return problem(`the manifest is invalid at ${path}: ${message}`, { path });
}

function problem(message: string, detail: Readonly<Record<string, unknown>>): ManifestProblem {
  return { ok: false, message, detail };
}
