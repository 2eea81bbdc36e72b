import { isIPv6 } from 'node:net';

/** Where the server listens. An IPv6 host has no brackets here; port 0 lets the system choose one. */
export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

export type ListenAddressResult =
  { readonly ok: true; readonly address: ListenAddress } | { readonly ok: false; readonly problem: string };

/** Parses HOST:PORT: `127.0.0.1:5000`, `[::1]:5000`, `localhost:0`. */
export function parseListenAddress(text: string): ListenAddressResult {
  const refuse = (problem: string): ListenAddressResult => ({ ok: false, problem });
  if (/^\d+$/.test(text)) return refuse(`the host is missing: write 127.0.0.1:${text}, or 0.0.0.0:${text} for all`);
  if (/^:\d+$/.test(text)) return refuse(`the host is missing: write 127.0.0.1${text}, or 0.0.0.0${text} for all`);
  if (isIPv6(text)) return refuse(`an IPv6 address stands in brackets, followed by the port: [${text}]:5000`);
  const { v6, name, digits } =
    /^(?:\[(?<v6>[^\]]*)\]|(?<name>[A-Za-z0-9._-]+)):(?<digits>\d+)$/.exec(text)?.groups ?? {};
  const host = v6 ?? name;
  if (host === undefined || digits === undefined) return refuse('this is not HOST:PORT');
  if (v6 !== undefined && !isIPv6(v6)) return refuse(`"${v6}" is not an IPv6 address`);
  const port = Number(digits);
  if (port > 65_535) return refuse('a port is at most 65535');
  return { ok: true, address: { host, port } };
}

/** HOST:PORT as it stands in a URL. */
export function formatListenAddress({ host, port }: ListenAddress): string {
  return isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`;
}
