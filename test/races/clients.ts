import { expect } from 'bun:test';
import { digestOf, freshBytes, imageOf } from '../http/content.ts';
import type { ServedRegistry, Settings } from '../http/served-registry.ts';

// What the clients of these tests do. One that is to meet the collector does it often enough to meet it everywhere.

export const repo = 'team/app';
export const hour = 3_600_000;
export const day = 24 * hour;

/** What nothing holds may go at once. */
export const atOnce: Settings = {
  'windows.lease': '0',
  'windows.trash': '0',
  'windows.condemned': '0',
  'windows.neverTagged': '0',
};

export interface Image {
  /** Its exact text. */
  readonly manifest: string;
  readonly digest: string;
  /** Its config and its layers. */
  readonly parts: readonly Uint8Array[];
}

/** An image that nobody has pushed before, but for its `layers`. */
export function imageWith(...layers: readonly Uint8Array[]): Image {
  const config = freshBytes();
  const manifest = JSON.stringify(imageOf(config, ...layers));
  return { manifest, digest: digestOf(manifest), parts: [config, ...layers] };
}

/** Pushes an image of one layer, or the one that is given. */
export async function push(
  registry: ServedRegistry,
  reference: string | undefined,
  image = imageWith(freshBytes()),
): Promise<Image> {
  for (const part of image.parts) await registry.pushBlob(repo, part);
  expect((await registry.putManifest(repo, reference ?? image.digest, image.manifest)).status).toBe(201);
  return image;
}

export async function statusOf(registry: ServedRegistry, path: string, method = 'GET'): Promise<number> {
  const answer = await registry.send(`/v2/${repo}/${path}`, { method });
  await answer.bytes();
  return answer.status;
}

export async function remove(registry: ServedRegistry, path: string): Promise<number> {
  return await statusOf(registry, path, 'DELETE');
}

/** Expects that a reference leads to an image, all of whose parts can be pulled. */
export async function expectWhole(registry: ServedRegistry, reference: string, image: Image): Promise<void> {
  const pulled = await registry.send(`/v2/${repo}/manifests/${reference}`);
  expect(await pulled.text()).toBe(image.manifest);
  for (const part of image.parts) {
    const blob = await registry.send(`/v2/${repo}/blobs/${digestOf(part)}`);
    expect(await blob.bytes()).toEqual(new Uint8Array(part));
  }
}

/** How often two things are let happen at once. */
export const rounds = 20;
