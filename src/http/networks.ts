import { BlockList, isIPv6 } from 'node:net';

/** Addresses and networks: those of reverse proxies that are believed, or of clients that are sent to a bucket. */
export class Networks {
  readonly #addresses = new BlockList();
  readonly #hasAny: boolean;

  /** Takes addresses and networks in CIDR notation. */
  constructor(networks: readonly string[]) {
    this.#hasAny = networks.length > 0;
    for (const network of networks) {
      const [address = '', prefix] = network.split('/');
      const family = isIPv6(address) ? 'ipv6' : 'ipv4';
      if (prefix === undefined) this.#addresses.addAddress(address, family);
      else this.#addresses.addSubnet(address, Number(prefix), family);
    }
  }

  /** Whether an address is one of them, or lies in one. */
  contain(address: string | undefined): boolean {
    if (!this.#hasAny || address === undefined) return false;
    const mapped = address.startsWith('::ffff:') ? address.slice('::ffff:'.length) : address;
    return this.#addresses.check(mapped, isIPv6(mapped) ? 'ipv6' : 'ipv4');
  }
}
