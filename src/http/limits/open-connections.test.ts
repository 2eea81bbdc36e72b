import { expect, test } from 'bun:test';
import { OpenConnections } from './open-connections.ts';

const noProxies = (): boolean => false;

test('no more connections are open than may be, in all and of one client', () => {
  const connections = new OpenConnections({ inAll: 3, perClient: 2 }, noProxies);
  const first = connections.open('10.0.0.1');
  connections.open('10.0.0.1');
  expect(connections.open('10.0.0.1').outcome).toBe('too-many-of-client');
  expect(connections.open('::ffff:10.0.0.1').outcome).toBe('too-many-of-client');
  connections.open('10.0.0.2');
  expect(connections.open('10.0.0.3').outcome).toBe('too-many');
  if (first.outcome !== 'open') throw new Error(first.outcome);
  first.close();
  first.close();
  expect(connections.count).toBe(2);
  expect(connections.open('10.0.0.1').outcome).toBe('open');
  expect(connections.open('10.0.0.3').outcome).toBe('too-many');
});

test("a client's addresses within 64 bits are one client", () => {
  const connections = new OpenConnections({ inAll: 0, perClient: 1 }, noProxies);
  expect(connections.open('2001:db8::1').outcome).toBe('open');
  expect(connections.open('2001:db8:0:0:ffff::2').outcome).toBe('too-many-of-client');
  expect(connections.open('2001:db8:0:1::1').outcome).toBe('open');
});

test('a proxy may have any number, but not more than all together', () => {
  const connections = new OpenConnections({ inAll: 2, perClient: 1 }, (address) => address === '10.0.0.1');
  expect([1, 2, 3].map(() => connections.open('10.0.0.1').outcome)).toEqual(['open', 'open', 'too-many']);
});
