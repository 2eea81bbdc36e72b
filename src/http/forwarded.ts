import type { Networks } from './networks.ts';

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
export function clientAddressOf(request: Request, peer: string | undefined, proxies: Networks): string | undefined {
  if (!proxies.contain(peer)) return peer;
  const hops = request.headers.get('x-forwarded-for')?.split(',') ?? [];
  for (const hop of hops.toReversed()) {
    const address = withoutPort(hop.trim());
    if (address !== '' && !proxies.contain(address)) return address;
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
