import { expect } from 'bun:test';
import { digestOf, freshBytes, imageOf, indexOf, ociIndex, ociManifest } from '../http/content.ts';
import type { ServedRegistry } from '../http/served-registry.ts';

/** What pushes to a registry. */
export type Pusher = Pick<ServedRegistry, 'pushBlob' | 'putManifest'>;

export interface PushedImage {
  readonly manifest: string;
  readonly digest: string;
  readonly blobs: readonly string[];
}

export interface ImageOptions {
  readonly tags?: readonly string[];
  /** Layers beside one of its own. */
  readonly layers?: readonly Uint8Array[];
  readonly subject?: PushedImage;
}

/** Pushes an image with a config and a layer of its own. */
export async function pushImage(
  registry: Pusher,
  repo: string,
  { tags = [], layers = [], subject }: ImageOptions = {},
): Promise<PushedImage> {
  const parts = [freshBytes(), freshBytes(), ...layers];
  const blobs = await Promise.all(parts.map(async (part) => await registry.pushBlob(repo, part)));
  const [config = freshBytes(), ...rest] = parts;
  const about =
    subject === undefined
      ? {}
      : { subject: { mediaType: ociManifest, digest: subject.digest, size: subject.manifest.length } };
  const manifest = JSON.stringify({ ...imageOf(config, ...rest), ...about });
  const digest = await putTagged(registry, repo, manifest, ociManifest, tags);
  return { manifest, digest, blobs };
}

/** Pushes an index of images. */
export async function pushIndex(
  registry: Pusher,
  repo: string,
  tags: readonly string[],
  ...images: readonly PushedImage[]
): Promise<PushedImage> {
  const manifest = JSON.stringify(indexOf(...images.map((image) => image.manifest)));
  const digest = await putTagged(registry, repo, manifest, ociIndex, tags);
  return { manifest, digest, blobs: images.flatMap(({ blobs }) => blobs) };
}

async function putTagged(
  registry: Pusher,
  repo: string,
  manifest: string,
  mediaType: string,
  tags: readonly string[],
): Promise<string> {
  const digest = digestOf(manifest);
  const parameters = tags.map((tag) => `tag=${tag}`).join('&');
  const answer = await registry.putManifest(repo, `${digest}?${parameters}`, manifest, mediaType);
  expect(answer.status).toBe(201);
  return digest;
}

/** Deletes a manifest or a tag as a client. */
export async function remove(registry: ServedRegistry, repo: string, reference: string): Promise<Response> {
  return await registry.send(`/v2/${repo}/manifests/${reference}`, { method: 'DELETE' });
}

/** Whether a client gets a manifest and all of its blobs, each as it was pushed. */
export async function isWhole(
  registry: ServedRegistry,
  repo: string,
  reference: string,
  image: PushedImage,
): Promise<boolean> {
  const answer = await registry.send(`/v2/${repo}/manifests/${reference}`);
  if (answer.status !== 200 || (await answer.text()) !== image.manifest) return false;
  for (const blob of image.blobs) {
    const found = await registry.send(`/v2/${repo}/blobs/${blob}`);
    if (found.status !== 200 || digestOf(await found.bytes()) !== blob) return false;
  }
  return true;
}
