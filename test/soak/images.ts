import { z } from 'zod';
import { type Descriptor, digestOf, ociManifest } from '../http/content.ts';
import type { SoakRegistry } from './soak-registry.ts';

const mebibyte = 1024 * 1024;
/** Random once: what makes a layer its own is stamped on each of its pieces, as random bytes take longer than pushing them. */
const noise = crypto.getRandomValues(new Uint8Array(65_536));

/** A layer, and what it is called: hashing takes as long as pushing. */
export interface Blob {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly digest: string;
}

/** A layer that no other call gives, of as many MiB as asked for. */
export function layerOf(sizeMib: number): Blob {
  const bytes = new Uint8Array(sizeMib * mebibyte);
  for (let at = 0; at < bytes.byteLength; at += noise.byteLength) bytes.set(noise, at);
  bytes.set(crypto.getRandomValues(new Uint8Array(32)));
  return { bytes, digest: digestOf(bytes) };
}

/** What the registry said of a push that it did not take. */
export class RefusedPush extends Error {
  override readonly name = 'RefusedPush';
  readonly status: number;
  readonly text: string;

  constructor(status: number, text: string) {
    super(`${status} ${text}`);
    this.status = status;
    this.text = text;
  }
}

/**
 * Pushes an image of layers, the last one in a session of chunks, the others in a single request each.
 *
 * @returns its digest
 */
export async function pushImage(
  registry: SoakRegistry,
  { repo, tag, layers }: { repo: string; tag: string; layers: readonly Blob[] },
): Promise<string> {
  const configBytes = crypto.getRandomValues(new Uint8Array(100));
  const config = { bytes: configBytes, digest: digestOf(configBytes) };
  for (const blob of [config, ...layers.slice(0, -1)]) await pushWhole(registry, repo, blob);
  const last = layers.at(-1);
  if (last !== undefined) await pushInChunks(registry, repo, last);
  const manifest = JSON.stringify({
    schemaVersion: 2,
    mediaType: ociManifest,
    config: descriptorOf(config, 'config.v1+json'),
    layers: layers.map((layer) => descriptorOf(layer, 'layer.v1.tar')),
  });
  await expectStatus(
    201,
    registry.send(`/v2/${repo}/manifests/${tag}`, {
      method: 'PUT',
      body: manifest,
      headers: { 'content-type': ociManifest },
    }),
  );
  return digestOf(manifest);
}

function descriptorOf({ bytes, digest }: Blob, kind: string): Descriptor {
  return { mediaType: `application/vnd.oci.image.${kind}`, digest, size: bytes.byteLength };
}

async function pushWhole(registry: SoakRegistry, repo: string, { bytes, digest }: Blob): Promise<void> {
  if ((await registry.send(`/v2/${repo}/blobs/${digest}`, { method: 'HEAD' })).status === 200) return;
  await expectStatus(
    201,
    registry.send(`/v2/${repo}/blobs/uploads/?digest=${digest}`, { method: 'POST', body: bytes }),
  );
}

async function pushInChunks(registry: SoakRegistry, repo: string, { bytes, digest }: Blob): Promise<void> {
  const opened = await expectStatus(202, registry.send(`/v2/${repo}/blobs/uploads/`, { method: 'POST' }));
  const session = opened.headers.get('location') ?? '';
  const half = Math.ceil(bytes.byteLength / 2);
  for (const chunk of [bytes.subarray(0, half), bytes.subarray(half)]) {
    await expectStatus(202, registry.send(session, { method: 'PATCH', body: chunk }));
  }
  await expectStatus(201, registry.send(`${session}?digest=${digest}`, { method: 'PUT' }));
}

const blob = z.object({ digest: z.string() });
const image = z.object({ config: blob, layers: z.array(blob) });

/** Pulls an image as a client does. @returns how many bytes it has @throws where anything is missing or wrong */
export async function pullImage(registry: SoakRegistry, repo: string, tag: string): Promise<number> {
  const answer = await expectStatus(200, registry.send(`/v2/${repo}/manifests/${tag}`));
  const text = await answer.text();
  if (digestOf(text) !== answer.headers.get('docker-content-digest')) throw new Error(`${repo}:${tag} is damaged`);
  const { config, layers } = image.parse(JSON.parse(text));
  let bytes = 0;
  for (const { digest } of [config, ...layers]) {
    const pulled = await (await expectStatus(200, registry.send(`/v2/${repo}/blobs/${digest}`))).bytes();
    if (digestOf(pulled) !== digest) throw new Error(`${digest} of ${repo}:${tag} is damaged`);
    bytes += pulled.byteLength;
  }
  return bytes;
}

async function expectStatus(status: number, sent: Promise<Response>): Promise<Response> {
  const answer = await sent;
  if (answer.status !== status) throw new RefusedPush(answer.status, await answer.text());
  // Whoever needs the body reads it; what is not read would keep the connection.
  if (answer.status !== 200) await answer.arrayBuffer();
  return answer;
}
