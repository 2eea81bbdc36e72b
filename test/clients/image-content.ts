import { z } from 'zod';

export const ociManifest = 'application/vnd.oci.image.manifest.v1+json';
export const ociIndex = 'application/vnd.oci.image.index.v1+json';
export const dockerManifest = 'application/vnd.docker.distribution.manifest.v2+json';
export const dockerManifestList = 'application/vnd.docker.distribution.manifest.list.v2+json';

const descriptorSchema = z.object({
  mediaType: z.string(),
  digest: z.string(),
  size: z.number(),
  artifactType: z.string().optional(),
  annotations: z.record(z.string(), z.string()).optional(),
  platform: z.object({ os: z.string(), architecture: z.string(), variant: z.string().optional() }).optional(),
});

/** A manifest of any kind: an index has `manifests`, an image `config` and `layers`. */
const manifestSchema = z.object({
  mediaType: z.string().optional(),
  artifactType: z.string().optional(),
  config: descriptorSchema.optional(),
  layers: z.array(descriptorSchema).optional(),
  manifests: z.array(descriptorSchema).optional(),
  subject: descriptorSchema.optional(),
  annotations: z.record(z.string(), z.string()).optional(),
});

export type Descriptor = z.infer<typeof descriptorSchema>;
export type Manifest = z.infer<typeof manifestSchema>;

export function parseManifest(bytes: Uint8Array): Manifest {
  return manifestSchema.parse(JSON.parse(new TextDecoder().decode(bytes)));
}

/** Where an image's content is read from: a registry's repository, or a layout that a client has written. */
export interface ContentSource {
  /** The bytes of a manifest. */
  manifest(digest: string): Promise<Uint8Array<ArrayBuffer>>;
  /** The bytes of a config or layer, piece by piece. */
  blob(digest: string): Promise<AsyncIterable<Uint8Array>>;
}

/** Digest → size in bytes, of every manifest, config and layer of an image. */
export type ImageContent = Readonly<Record<string, number>>;

/**
 * Reads all of an image, or of a multi-arch index with all its images, and recomputes every digest and size from the
 * bytes that come back; throws at the first that is not what its descriptor says.
 */
export async function readImage(source: ContentSource, digest: string): Promise<ImageContent> {
  const content: Record<string, number> = {};
  await readManifest(source, digest, content);
  return content;
}

async function readManifest(source: ContentSource, digest: string, content: Record<string, number>): Promise<number> {
  const bytes = await source.manifest(digest);
  expectDigest(digest, digestOf(bytes));
  content[digest] = bytes.byteLength;
  const { config, layers = [], manifests = [] } = parseManifest(bytes);
  for (const child of manifests) {
    expectSize(child, content[child.digest] ?? (await readManifest(source, child.digest, content)));
  }
  for (const blob of config === undefined ? layers : [config, ...layers]) {
    content[blob.digest] ??= await readBlob(source, blob.digest);
    expectSize(blob, content[blob.digest]);
  }
  return bytes.byteLength;
}

async function readBlob(source: ContentSource, digest: string): Promise<number> {
  const hasher = new Bun.CryptoHasher('sha256');
  let sizeBytes = 0;
  for await (const piece of await source.blob(digest)) {
    hasher.update(piece);
    sizeBytes += piece.byteLength;
  }
  expectDigest(digest, `sha256:${hasher.digest('hex')}`);
  return sizeBytes;
}

export function digestOf(bytes: Uint8Array | string): string {
  return `sha256:${new Bun.CryptoHasher('sha256').update(bytes).digest('hex')}`;
}

function expectDigest(expected: string, actual: string): void {
  if (actual !== expected) throw new Error(`what came back for ${expected} is ${actual}`);
}

function expectSize(descriptor: Descriptor, sizeBytes: number | undefined): void {
  if (sizeBytes !== descriptor.size) {
    throw new Error(`${descriptor.digest} has ${sizeBytes} bytes, its descriptor says ${descriptor.size}`);
  }
}
