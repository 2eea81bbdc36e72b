import type { HttpConnection } from './http-connection.ts';
import { expectStatus, pushBlob } from './push-blob.ts';

export const manifestMediaType = 'application/vnd.oci.image.manifest.v1+json';

/** A blob as a manifest refers to it. */
export interface PushedBlob {
  readonly digest: string;
  readonly size: number;
}

/** Pushes a blob and gives what a manifest needs to refer to it. */
export async function pushLayer(
  connection: HttpConnection,
  repository: string,
  bytes: Uint8Array,
): Promise<PushedBlob> {
  return { digest: await pushBlob(connection, repository, bytes), size: bytes.length };
}

/** The bytes of an image configuration; `serial` makes it unlike any other. */
export function imageConfig(serial: string): Uint8Array {
  const config = {
    architecture: 'amd64',
    os: 'linux',
    config: { Labels: { serial } },
    rootfs: { type: 'layers', diff_ids: [] },
  };
  return new TextEncoder().encode(JSON.stringify(config));
}

/** Pushes an image's configuration, then its manifest under a tag; the layers must have been pushed. */
export async function pushImage(
  connection: HttpConnection,
  repository: string,
  tag: string,
  layers: readonly PushedBlob[],
): Promise<void> {
  const config = await pushLayer(connection, repository, imageConfig(`${repository}:${tag}`));
  const manifest = {
    schemaVersion: 2,
    mediaType: manifestMediaType,
    config: { mediaType: 'application/vnd.oci.image.config.v1+json', digest: config.digest, size: config.size },
    layers: layers.map((layer) => ({
      mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip',
      digest: layer.digest,
      size: layer.size,
    })),
  };
  const answer = await connection.request('PUT', `/v2/${repository}/manifests/${tag}`, {
    bytes: new TextEncoder().encode(JSON.stringify(manifest)),
    mediaType: manifestMediaType,
  });
  expectStatus('putting a manifest', answer, 201);
}
