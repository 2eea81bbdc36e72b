import { isIP } from 'node:net';

const bitsOfFamily = new Map([
  [4, 32],
  [6, 128],
]);

/** Says what is wrong with an address or network in CIDR notation; undefined when nothing is. */
export function problemOfNetwork(text: string): string | undefined {
  const { address, prefix } = /^(?<address>[^/]*)(?:\/(?<prefix>.*))?$/.exec(text)?.groups ?? {};
  const bits = bitsOfFamily.get(isIP(address ?? ''));
  if (bits === undefined) return `"${text}" is not an IP address`;
  if (prefix === undefined || (/^\d{1,3}$/.test(prefix) && Number(prefix) <= bits)) return undefined;
  return `"${text}" has no prefix length from 0 to ${bits}`;
}
