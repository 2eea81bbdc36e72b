import { describe, expect, test } from 'bun:test';
import { clientAddressOf, originOf } from './forwarded.ts';
import { Networks } from './networks.ts';

function request(headers: Readonly<Record<string, string>>): Request {
  return new Request('http://registry.internal:5000/v2/', { headers });
}

describe('the origin', () => {
  const forwarded = { 'x-forwarded-proto': 'HTTPS', 'x-forwarded-host': 'images.example' };

  test('is what a trusted proxy says, and what the request says without one', () => {
    expect(originOf(request(forwarded), true)).toBe('https://images.example');
    expect(originOf(request(forwarded), false)).toBe('http://registry.internal:5000');
  });

  test('is that of the first proxy of several', () => {
    const chain = { 'x-forwarded-proto': 'https, http', 'x-forwarded-host': 'outer.example:8443, inner.example' };
    expect(originOf(request(chain), true)).toBe('https://outer.example:8443');
  });

  test('takes each part from the request where the proxy says nothing that could be one', () => {
    expect(originOf(request({ 'x-forwarded-proto': 'https' }), true)).toBe('https://registry.internal:5000');
    expect(originOf(request({ 'x-forwarded-proto': 'ftp', 'x-forwarded-host': 'a/b' }), true)).toBe(
      'http://registry.internal:5000',
    );
  });
});

describe("the client's address", () => {
  const proxies = new Networks(['10.0.0.0/8']);

  test('is the last one that no trusted proxy has, since those before it can be made up', () => {
    const chain = request({ 'x-forwarded-for': '6.6.6.6, 192.0.2.1, 10.0.0.2' });
    expect(clientAddressOf(chain, '10.0.0.1', proxies)).toBe('192.0.2.1');
  });

  test('is without the port that some proxies add, by which each connection would be another client', () => {
    for (const [hop, address] of [
      ['192.0.2.1:50123', '192.0.2.1'],
      ['[2001:db8::1]:50123', '2001:db8::1'],
      ['[2001:db8::1]', '2001:db8::1'],
      ['2001:db8::1', '2001:db8::1'],
    ] as const) {
      expect(clientAddressOf(request({ 'x-forwarded-for': `${hop}, 10.0.0.2:443` }), '10.0.0.1', proxies)).toBe(
        address,
      );
    }
  });

  test('is that of the connection where nobody trusted speaks', () => {
    const chain = request({ 'x-forwarded-for': '6.6.6.6' });
    expect(clientAddressOf(chain, '192.0.2.1', proxies)).toBe('192.0.2.1');
    expect(clientAddressOf(request({}), '10.0.0.1', proxies)).toBe('10.0.0.1');
    expect(clientAddressOf(request({ 'x-forwarded-for': ' , ' }), '10.0.0.1', proxies)).toBe('10.0.0.1');
  });
});
