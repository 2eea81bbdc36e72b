import { expect, test } from 'bun:test';
import { InnerServers } from './inner-servers.ts';
import { directPeer, Peers } from './peers.ts';

test('there is another server for every so many connections, and places that are left are taken again', () => {
  let opened = 0;
  const inner = new InnerServers(() => ({ port: ++opened }), 2);
  expect(inner.servers).toHaveLength(1);
  const places = Array.from({ length: 5 }, () => inner.take());
  expect(places.map(({ port }) => port)).toEqual([1, 1, 2, 2, 3]);
  const [, second] = places;
  second?.leave();
  second?.leave();
  expect([inner.take(), inner.take()].map(({ port }) => port)).toEqual([1, 3]);
  expect(inner.servers).toHaveLength(3);
});

test('a server that cannot be opened leaves the others as they are', () => {
  let opened = 0;
  const inner = new InnerServers(() => {
    if (opened === 1) throw new Error('EMFILE');
    return { port: ++opened };
  }, 1);
  const place = inner.take();
  expect(() => inner.take()).toThrow('EMFILE');
  place.leave();
  expect(inner.take().port).toBe(1);
});

test('who comes from the same port to another server is a stranger', () => {
  const peers = new Peers();
  const peer = directPeer('192.0.2.1');
  peers.add({ server: 5000, front: 40_000 }, peer);
  expect(peers.at({ server: 5000, front: 40_000 })).toBe(peer);
  expect(peers.at({ server: 5001, front: 40_000 }).isStranger).toBe(true);
  peers.forget({ server: 5000, front: 40_000 });
  expect(peers.at({ server: 5000, front: 40_000 }).isStranger).toBe(true);
  expect(peers.at(undefined).isStranger).toBe(true);
});
