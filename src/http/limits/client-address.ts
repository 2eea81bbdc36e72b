import { isIPv6 } from 'node:net';

/**
 * What of an address stands for one client: all of an IPv4 address, and of an IPv6 address the network of 64 bits, of
 * which a single machine has every address.
 */
export function clientNetworkOf(address: string): string {
  const mapped = address.startsWith('::ffff:') ? address.slice('::ffff:'.length) : address;
  if (!isIPv6(mapped)) return mapped;
  const [head = '', tail] = mapped.split('::', 2);
  const first = head === '' ? [] : head.split(':');
  const last = tail === undefined || tail === '' ? [] : tail.split(':');
  const whole = [...first, ...Array.from({ length: 8 - first.length - last.length }, () => '0'), ...last];
  return `${whole.slice(0, 4).join(':')}::/64`;
}
