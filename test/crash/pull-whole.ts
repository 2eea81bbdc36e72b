import { isJsonObject } from '../../src/oci/json.ts';
import { digestOf } from '../http/content.ts';

const accept = ['application/vnd.oci.image.manifest.v1+json', 'application/vnd.oci.image.index.v1+json'].join(', ');

/** Pulls an image with all that it needs, and recomputes every digest. @returns the manifest's @throws where anything is missing or wrong */
export async function pullWhole(origin: string, repo: string, reference: string): Promise<string> {
  const text = await pulled(`${origin}/v2/${repo}/manifests/${reference}`);
  const digest = digestOf(text);
  if (reference.startsWith('sha256:') && reference !== digest) throw new Error(`${repo}@${reference} is ${digest}`);
  const manifest: unknown = JSON.parse(new TextDecoder().decode(text));
  if (!isJsonObject(manifest)) throw new Error(`${repo}:${reference} is no manifest`);
  for (const blob of digestsIn([manifest['config'], manifest['layers']])) {
    const bytes = await pulled(`${origin}/v2/${repo}/blobs/${blob}`);
    if (digestOf(bytes) !== blob) throw new Error(`the bytes of ${blob} of ${repo}:${reference} are others`);
  }
  for (const child of digestsIn([manifest['manifests']])) await pullWhole(origin, repo, child);
  return digest;
}

async function pulled(url: string): Promise<Uint8Array> {
  const answer = await fetch(url, { headers: { accept } });
  if (answer.status !== 200) throw new Error(`${url} is answered with ${answer.status} ${await answer.text()}`);
  return await answer.bytes();
}

function digestsIn(values: readonly unknown[]): readonly string[] {
  return values
    .flat()
    .flatMap((value) => (isJsonObject(value) && typeof value['digest'] === 'string' ? [value['digest']] : []));
}
