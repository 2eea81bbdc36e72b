import { digestOf, freshBytes } from '../http/content.ts';
import type { ServedRegistry } from '../http/served-registry.ts';

/** Pushes blobs to a registry one after the other, and remembers what was acknowledged. */
export class Pushing {
  readonly #registry: ServedRegistry;
  readonly #over = new AbortController();
  readonly #working: Promise<void>;
  readonly acknowledged: string[] = [];
  /** How those were answered that were not. */
  readonly refusals = new Set<number>();

  constructor(registry: ServedRegistry) {
    this.#registry = registry;
    this.#working = this.#work();
  }

  async stop(): Promise<void> {
    this.#over.abort();
    await this.#working;
  }

  async #work(): Promise<void> {
    while (!this.#over.signal.aborted) {
      const bytes = freshBytes(20_000);
      const digest = digestOf(bytes);
      const path = `/v2/team/busy/blobs/uploads/?digest=${digest}`;
      const { status } = await this.#registry.send(path, { method: 'POST', body: bytes });
      if (status === 201) this.acknowledged.push(digest);
      else this.refusals.add(status);
      await Bun.sleep(5);
    }
  }
}
