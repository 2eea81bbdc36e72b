import { z } from 'zod';
import {
  type ContentSource,
  type Descriptor,
  digestOf,
  dockerManifest,
  dockerManifestList,
  ociIndex,
  ociManifest,
  parseManifest,
} from './image-content.ts';

const manifestTypes = [ociManifest, ociIndex, dockerManifest, dockerManifestList].join(', ');
const answerWithinMs = 60_000;

/** The answer of a registry that was not the one hoped for. */
export class UnexpectedAnswer extends Error {
  override readonly name = 'UnexpectedAnswer';
  readonly status: number;

  constructor(request: string, status: number, body: string) {
    super(`${request} was answered with ${status}: ${body.slice(0, 500)}`);
    this.status = status;
  }
}

/** A repository seen through the plain protocol, with no client in between that could hide anything. */
export class RegistryRepository implements ContentSource {
  readonly #base: string;

  constructor(origin: string, repository: string) {
    this.#base = `${origin}/v2/${repository}`;
  }

  /** The digest that a tag leads to, computed from the manifest's bytes. */
  async resolve(tag: string): Promise<string> {
    const answer = await this.#get(`manifests/${tag}`, { accept: manifestTypes });
    const digest = digestOf(await answer.bytes());
    const told = answer.headers.get('docker-content-digest');
    if (told !== digest) throw new Error(`Docker-Content-Digest of ${tag} is ${told}, its bytes are ${digest}`);
    return digest;
  }

  async manifest(digest: string): Promise<Uint8Array<ArrayBuffer>> {
    const answer = await this.#get(`manifests/${digest}`, { accept: manifestTypes });
    return new Uint8Array(await answer.arrayBuffer());
  }

  async blob(digest: string): Promise<AsyncIterable<Uint8Array>> {
    const answer = await this.#get(`blobs/${digest}`);
    if (answer.body === null) throw new Error(`${this.#base}/blobs/${digest} was answered without a body`);
    return answer.body;
  }

  /** The status with which a tag, manifest or blob is answered. */
  async status(path: string): Promise<number> {
    const answer = await this.fetch(path, { headers: { accept: manifestTypes } });
    await answer.arrayBuffer();
    return answer.status;
  }

  /** Every tag of a repository that has less than a page of them. */
  async tags(): Promise<readonly string[]> {
    const answer = await this.#get('tags/list');
    const page = z.object({ tags: z.array(z.string()) }).parse(await answer.json());
    return page.tags;
  }

  /** The descriptors of a manifest's referrers. */
  async referrers(digest: string): Promise<readonly Descriptor[]> {
    const answer = await this.#get(`referrers/${digest}`);
    return parseManifest(await answer.bytes()).manifests ?? [];
  }

  /** A request below the repository, or to where a Location leads, whatever its answer. */
  async fetch(path: string, init: RequestInit = {}): Promise<Response> {
    return fetch(new URL(path, `${this.#base}/`), { signal: AbortSignal.timeout(answerWithinMs), ...init });
  }

  async #get(path: string, headers: Record<string, string> = {}): Promise<Response> {
    const answer = await this.fetch(path, { headers });
    if (answer.status === 200) return answer;
    throw new UnexpectedAnswer(`GET ${this.#base}/${path}`, answer.status, await answer.text());
  }
}
