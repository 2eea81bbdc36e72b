import { expect, test } from 'bun:test';
import { formatListenAddress, parseListenAddress } from './listen-address.ts';

test.each([
  ['127.0.0.1:5000', '127.0.0.1', 5000],
  ['0.0.0.0:0', '0.0.0.0', 0],
  ['localhost:65535', 'localhost', 65_535],
  ['[::1]:5000', '::1', 5000],
  ['[::]:80', '::', 80],
])('%s is the host %s and the port %d, and is shown like that again', (text, host, port) => {
  expect(parseListenAddress(text)).toEqual({ ok: true, address: { host, port } });
  expect(formatListenAddress({ host, port })).toBe(text);
});

test.each([
  ['5000', 'the host is missing: write 127.0.0.1:5000, or 0.0.0.0:5000 for all'],
  [':5000', 'the host is missing: write 127.0.0.1:5000, or 0.0.0.0:5000 for all'],
  ['::1', 'an IPv6 address stands in brackets, followed by the port: [::1]:5000'],
  ['[localhost]:5000', '"localhost" is not an IPv6 address'],
  ['127.0.0.1:65536', 'a port is at most 65535'],
  ['127.0.0.1', 'this is not HOST:PORT'],
  ['127.0.0.1:', 'this is not HOST:PORT'],
  ['http://127.0.0.1:5000', 'this is not HOST:PORT'],
  ['', 'this is not HOST:PORT'],
])('the address "%s" is refused: %s', (text, problem) => {
  expect(parseListenAddress(text)).toEqual({ ok: false, problem });
});
