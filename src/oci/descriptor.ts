import { describeDigestProblem, type Digest, parseDigest } from './digest.ts';
import { isJsonObject, isStringRecord } from './json.ts';
import { quote } from './quote.ts';

/** What a manifest says of content that it refers to (image-spec descriptor.md). */
export interface Descriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  readonly sizeBytes: number;
  readonly urls: readonly string[];
  /** Whether it says to have the content in itself, as `data`. */
  readonly hasData: boolean;
  readonly annotations: Readonly<Record<string, string>> | undefined;
  readonly artifactType: string | undefined;
}

/** A field that is not what it must be; `path` is where it stands, such as `layers[2].digest`. */
export interface FieldProblem {
  readonly path: string;
  readonly message: string;
}

export type DescriptorParse =
  { readonly ok: true; readonly descriptor: Descriptor } | { readonly ok: false; readonly problem: FieldProblem };

const noUrls: readonly string[] = [];

/**
 * Reads a descriptor found at `path`. Its type, digest and size must be right, as must what clients would fail to read;
 * fields that the specification doesn't know pass, and what `data` says is left to those who use it: it saves a client a
 * request, but the blob is pushed all the same.
 */
export function parseDescriptor(value: unknown, path: string): DescriptorParse {
  if (!isJsonObject(value)) return invalid(path, `it must be a descriptor, an object; it is ${describeKind(value)}`);

  const mediaType = value['mediaType'];
  if (!isTypeName(mediaType)) return invalid(`${path}.mediaType`, describeTypeNameProblem(mediaType));

  const digestText = value['digest'];
  if (typeof digestText !== 'string') {
    return invalid(`${path}.digest`, `it must be a digest, a string; it is ${describeKind(digestText)}`);
  }
  const digest = parseDigest(digestText);
  if (digest === undefined) return invalid(`${path}.digest`, describeDigestProblem(digestText));

  const sizeBytes = value['size'];
  if (!isSize(sizeBytes)) return invalid(`${path}.size`, describeSizeProblem(sizeBytes));

  const urls = value['urls'] ?? noUrls;
  if (!isStringArray(urls)) return invalid(`${path}.urls`, 'it must be an array of strings');

  const data = value['data'] ?? '';
  if (typeof data !== 'string')
    return invalid(`${path}.data`, `it must be base64, a string; it is ${describeKind(data)}`);

  const annotations = parseAnnotations(value['annotations'], `${path}.annotations`);
  if (!annotations.ok) return annotations;

  const artifactType = parseArtifactType(value['artifactType'], `${path}.artifactType`);
  if (!artifactType.ok) return artifactType;

  return {
    ok: true,
    descriptor: {
      mediaType,
      digest,
      sizeBytes,
      urls,
      hasData: data !== '',
      annotations: annotations.annotations,
      artifactType: artifactType.artifactType,
    },
  };
}

export type AnnotationsParse =
  | { readonly ok: true; readonly annotations: Readonly<Record<string, string>> | undefined }
  | { readonly ok: false; readonly problem: FieldProblem };

/** Reads an annotation map found at `path`; a missing one and null are none (image-spec annotations.md). */
export function parseAnnotations(value: unknown, path: string): AnnotationsParse {
  if (value === undefined || value === null) return { ok: true, annotations: undefined };
  if (!isStringRecord(value)) return invalid(path, 'it must be an object whose values are strings');
  return { ok: true, annotations: value };
}

export type ArtifactTypeParse =
  | { readonly ok: true; readonly artifactType: string | undefined }
  | { readonly ok: false; readonly problem: FieldProblem };

/** Reads an artifact type found at `path`; a missing one, null and the empty string are none (spec.md, "Listing Referrers"). */
export function parseArtifactType(value: unknown, path: string): ArtifactTypeParse {
  if (value === undefined || value === null || value === '') return { ok: true, artifactType: undefined };
  if (!isTypeName(value)) return invalid(path, describeTypeNameProblem(value));
  return { ok: true, artifactType: value };
}

/** The name of a JSON value's kind, for a message. */
export function describeKind(value: unknown): string {
  if (value === undefined) return 'missing';
  if (value === null) return 'null';
  return Array.isArray(value) ? 'an array' : `of type ${typeof value}`;
}

/** 127 characters, a slash, 127 characters (RFC 6838 section 4.2). */
const longestTypeName = 255;

/**
 * Artifacts are known by types that were never registered and don't all follow RFC 6838, so a type's name is asked only
 * to be a line of printable ASCII: enough to be stored, shown and compared.
 */
function isTypeName(value: unknown): value is string {
  return typeof value === 'string' && value.length <= longestTypeName && /^[\x20-\x7e]+$/.test(value);
}

function describeTypeNameProblem(value: unknown): string {
  if (typeof value !== 'string') return `it must be a media type, a string; it is ${describeKind(value)}`;
  return `it must be a media type of 1 to ${longestTypeName} printable ASCII characters; it is ${quote(value)}`;
}

function isSize(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function describeSizeProblem(value: unknown): string {
  const found = typeof value === 'number' ? String(value) : describeKind(value);
  return `it must be a size in bytes, an integer from 0 to ${Number.MAX_SAFE_INTEGER}; it is ${found}`;
}

function isStringArray(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((entry) => typeof entry === 'string');
}

function invalid(path: string, message: string): { readonly ok: false; readonly problem: FieldProblem } {
  return { ok: false, problem: { path, message } };
}
