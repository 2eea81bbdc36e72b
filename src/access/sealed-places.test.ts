import { expect, test } from 'bun:test';
import { SealedPlaces, sealedMark } from './sealed-places.ts';

test('a place comes back as it was, and shows nothing of it, not even how long it is', () => {
  const places = new SealedPlaces();
  const [short, long] = ['a', 'team/'.repeat(51)];
  for (const name of [short, long]) expect(places.unseal(places.seal(name))).toBe(name);
  expect(places.seal(short).length).toBe(places.seal(long).length);
  expect(places.seal(short)).not.toBe(places.seal(short));
  expect(places.seal(short)).toStartWith(sealedMark);
});

test('what another process has sealed, or nobody has, is no place', () => {
  const places = new SealedPlaces();
  const sealed = places.seal('team/app');
  for (const text of [
    '~',
    '~x',
    new SealedPlaces().seal('team/app'),
    `${sealed.slice(0, 20)}${sealed[20] === 'A' ? 'B' : 'A'}${sealed.slice(21)}`,
    sealed.slice(0, 60),
  ]) {
    expect(places.unseal(text)).toBeUndefined();
  }
});
