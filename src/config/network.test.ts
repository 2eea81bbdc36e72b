import { expect, test } from 'bun:test';
import { problemOfNetwork } from './network.ts';

test.each(['10.0.0.0/8', '10.0.0.1', '0.0.0.0/0', '192.0.2.7/32', '::1', 'fd00::/8', '::/128'])(
  '%s is an address or a network',
  (text) => {
    expect(problemOfNetwork(text)).toBeUndefined();
  },
);

test.each([
  ['proxy', '"proxy" is not an IP address'],
  ['', '"" is not an IP address'],
  ['10.0.0/8', '"10.0.0/8" is not an IP address'],
  ['[::1]', '"[::1]" is not an IP address'],
  ['10.0.0.0/33', '"10.0.0.0/33" has no prefix length from 0 to 32'],
  ['10.0.0.0/', '"10.0.0.0/" has no prefix length from 0 to 32'],
  ['::/129', '"::/129" has no prefix length from 0 to 128'],
  ['::/-1', '"::/-1" has no prefix length from 0 to 128'],
])('the network "%s" is refused: %s', (text, problem) => {
  expect(problemOfNetwork(text)).toBe(problem);
});
