import { pullWhole } from '../crash/pull-whole.ts';
import { digestOf, freshBytes, imageOf, ociManifest } from '../http/content.ts';

const clients = 3;
const pauseMs = 50;

/** The registry could not be reached: it is being killed, or started again. */
class AwayError extends Error {
  override readonly name = 'AwayError';
}

/** Clients that have nothing to do with the secret: each pushes, pulls and deletes images of its own. */
export class Bystanders {
  /** The digest that `repo:tag` must lead to: pushed, and not deleted. */
  readonly images = new Map<string, string>();
  readonly problems: string[] = [];
  pulls = 0;
  readonly #origin: string;
  readonly #running: Promise<void>[] = [];
  #isOver = false;

  constructor(origin: string) {
    this.#origin = origin;
  }

  start(): void {
    for (let client = 0; client < clients; client += 1) this.#running.push(this.#live(`calm/${client}`));
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#running);
  }

  async #live(repo: string): Promise<void> {
    const own: string[] = [];
    for (let number = 0; !this.#isOver; number += 1) {
      try {
        const tag = `v${number}`;
        if (await this.#push(repo, tag)) own.push(tag);
        const middle = own[Math.floor(own.length / 2)];
        if (middle !== undefined) await this.#pull(repo, middle);
        if (number % 3 === 2) await this.#remove(repo, own.shift());
      } catch (error) {
        if (!(error instanceof AwayError)) this.problems.push(String(error));
      }
      await Bun.sleep(pauseMs);
    }
  }

  async #send(method: string, path: string, init: RequestInit = {}): Promise<number> {
    try {
      const answer = await fetch(`${this.#origin}/v2/${path}`, {
        ...init,
        method,
        signal: AbortSignal.timeout(60_000),
      });
      await answer.body?.cancel();
      return answer.status;
    } catch {
      throw new AwayError();
    }
  }

  /** @returns whether it is there; it is not where a lease has ended in the meantime */
  async #push(repo: string, tag: string): Promise<boolean> {
    const [config, layer] = [freshBytes(), freshBytes(50_000)];
    for (const body of [config, layer]) {
      const status = await this.#send('POST', `${repo}/blobs/uploads/?digest=${digestOf(body)}`, { body });
      if (status !== 201) throw new Error(`a blob of ${repo}:${tag} is answered with ${status}`);
    }
    const body = JSON.stringify(imageOf(config, layer));
    const headers = { 'content-type': ociManifest };
    const status = await this.#send('PUT', `${repo}/manifests/${tag}`, { body, headers });
    if (status === 404) return false;
    if (status !== 201) throw new Error(`${repo}:${tag} is answered with ${status}`);
    this.images.set(`${repo}:${tag}`, digestOf(body));
    return true;
  }

  async #pull(repo: string, tag: string): Promise<void> {
    try {
      const digest = await pullWhole(this.#origin, repo, tag);
      if (digest !== this.images.get(`${repo}:${tag}`)) this.problems.push(`${repo}:${tag} is ${digest}`);
      this.pulls += 1;
    } catch (error) {
      // Of what the registry has answered, and of no connection that is broken, the message names the address.
      if (String(error).includes('/v2/')) throw error;
      throw new AwayError();
    }
  }

  async #remove(repo: string, tag: string | undefined): Promise<void> {
    if (tag === undefined) return;
    this.images.delete(`${repo}:${tag}`);
    const status = await this.#send('DELETE', `${repo}/manifests/${tag}`);
    if (status !== 202) this.problems.push(`the delete of ${repo}:${tag} is answered with ${status}`);
  }
}
