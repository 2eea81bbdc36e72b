import { clientNetworkOf } from './client-address.ts';

/** How many connections may be open at once; 0: no limit. */
export interface ConnectionLimits {
  readonly inAll: number;
  readonly perClient: number;
}

/** Counts the connections that are open, and says which are too many. */
export class OpenConnections {
  readonly #limits: ConnectionLimits;
  /** Of whom any number is taken: proxies, behind which there are many clients. */
  readonly #isExempt: (address: string) => boolean;
  readonly #perClient = new Map<string, number>();
  #count = 0;

  constructor(limits: ConnectionLimits, isExempt: (address: string) => boolean) {
    this.#limits = limits;
    this.#isExempt = isExempt;
  }

  /** Whether there is any limit to keep. */
  get areLimited(): boolean {
    return this.#limits.inAll > 0 || this.#limits.perClient > 0;
  }

  get count(): number {
    return this.#count;
  }

  /** Counts a connection from an address, unless it is one too many. The result ends the counting of it; once only. */
  open(
    address: string,
  ): { readonly outcome: 'open'; close(): void } | { readonly outcome: 'too-many' | 'too-many-of-client' } {
    const { inAll, perClient } = this.#limits;
    if (inAll > 0 && this.#count >= inAll) return { outcome: 'too-many' };
    const client = clientNetworkOf(address);
    const ofClient = this.#perClient.get(client) ?? 0;
    if (perClient > 0 && ofClient >= perClient && !this.#isExempt(address)) return { outcome: 'too-many-of-client' };
    this.#count++;
    this.#perClient.set(client, ofClient + 1);
    let isOpen = true;
    return {
      outcome: 'open',
      close: () => {
        if (!isOpen) return;
        isOpen = false;
        this.#count--;
        const left = (this.#perClient.get(client) ?? 0) - 1;
        if (left > 0) this.#perClient.set(client, left);
        else this.#perClient.delete(client);
      },
    };
  }
}
