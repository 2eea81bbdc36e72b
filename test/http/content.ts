import { randomBytes } from 'node:crypto';

export const ociManifest = 'application/vnd.oci.image.manifest.v1+json';
export const ociIndex = 'application/vnd.oci.image.index.v1+json';
export const emptyJson = 'application/vnd.oci.empty.v1+json';

/** What a manifest or index says of something that it refers to. */
export interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

export interface ImageManifest {
  readonly schemaVersion: 2;
  readonly mediaType: string;
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
  readonly [other: string]: unknown;
}

/** `sha256:…` or `sha512:…` of bytes or of a text's UTF-8. */
export function digestOf(content: Uint8Array | string, algorithm: 'sha256' | 'sha512' = 'sha256'): string {
  return `${algorithm}:${new Bun.CryptoHasher(algorithm).update(content).digest('hex')}`;
}

/** Bytes that nobody has pushed before. */
export function freshBytes(sizeBytes = 100): Uint8Array<ArrayBuffer> {
  return new Uint8Array(randomBytes(sizeBytes));
}

export function layerDescriptor(bytes: Uint8Array): Descriptor {
  return {
    mediaType: 'application/vnd.oci.image.layer.v1.tar',
    digest: digestOf(bytes),
    size: bytes.byteLength,
  };
}

/** An image of blobs: the first is its config, the others are its layers. */
export function imageOf(config: Uint8Array, ...layers: readonly Uint8Array[]): ImageManifest {
  return {
    schemaVersion: 2,
    mediaType: ociManifest,
    config: { ...layerDescriptor(config), mediaType: 'application/vnd.oci.image.config.v1+json' },
    layers: layers.map(layerDescriptor),
  };
}

/** An index of manifests, each given as its exact text. */
export function indexOf(...manifests: readonly string[]): {
  readonly schemaVersion: 2;
  readonly mediaType: string;
  readonly manifests: readonly Descriptor[];
} {
  return {
    schemaVersion: 2,
    mediaType: ociIndex,
    manifests: manifests.map((text) => ({
      mediaType: ociManifest,
      digest: digestOf(text),
      size: Buffer.byteLength(text),
    })),
  };
}
