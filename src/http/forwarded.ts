import { BlockList, isIPv6 } from 'node:net';

/** Which reverse proxies are believed what they say of a request (`X-Forwarded-*`). */
export class TrustedProxies {
  readonly #addresses = new BlockList();
  readonly #trustsAny: boolean;

  /** Takes addresses and networks in CIDR notation. */
  constructor(networks: readonly string[]) {
    this.#trustsAny = networks.length > 0;
    for (const network of networks) {
      const [address = '', prefix] = network.split('/');
      const family = isIPv6(address) ? 'ipv6' : 'ipv4';
      if (prefix === undefined) this.#addresses.addAddress(address, family);
      else this.#addresses.addSubnet(address, Number(prefix), family);
    }
  }

  trusts(address: string | undefined): boolean {
    if (!this.#trustsAny || address === undefined) return false;
    const mapped = address.startsWith('::ffff:') ? address.slice('::ffff:'.length) : address;
    return this.#addresses.check(mapped, isIPv6(mapped) ? 'ipv6' : 'ipv4');
  }
}

const schemes = new Set(['http', 'https']);
const hostPattern = /^[A-Za-z0-9._[\]:-]{1,255}$/;

/**
 * Scheme and host as the client sees them: from the headers of a trusted proxy, else from the request itself. Empty where
 * the request names no host, so that a location made with it is relative.
 *
 * @param isEncrypted whether TLS was ended before the request was read
 */
export function originOf(request: Request, isFromTrustedProxy: boolean, isEncrypted = false): string {
  const url = URL.parse(request.url);
  if (url === null) return '';
  if (isEncrypted) url.protocol = 'https:';
  if (!isFromTrustedProxy) return url.origin;
  const scheme = firstOf(request.headers.get('x-forwarded-proto'));
  const host = firstOf(request.headers.get('x-forwarded-host'));
  return [
    scheme !== undefined && schemes.has(scheme) ? scheme : url.protocol.slice(0, -1),
    '://',
    host !== undefined && hostPattern.test(host) ? host : url.host,
  ].join('');
}

/** The client's address: the last one that a trusted proxy has added, else that of the connection. */
export function clientAddressOf(
  request: Request,
  peer: string | undefined,
  proxies: TrustedProxies,
): string | undefined {
  if (!proxies.trusts(peer)) return peer;
  const hops = request.headers.get('x-forwarded-for')?.split(',') ?? [];
  for (const hop of hops.toReversed()) {
    const address = withoutPort(hop.trim());
    if (address !== '' && !proxies.trusts(address)) return address;
  }
  return peer;
}

/** Some proxies add the port, by which each connection would be another client: `192.0.2.1:1234`, `[2001:db8::1]:1234`. */
function withoutPort(hop: string): string {
  const [, bracketed, plain] = /^(?:\[([^\]]+)\](?::\d+)?|([\d.]+):\d+)$/.exec(hop) ?? [];
  return bracketed ?? plain ?? hop;
}

function firstOf(header: string | null): string | undefined {
  return header?.split(',')[0]?.trim().toLowerCase();
}
