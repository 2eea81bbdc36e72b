import { SeededRandom } from '../../src/storm/seeded-random.ts';
import { ownPair, pairName } from '../pairs/pair.ts';

/**
 * How many places are chosen: all of them on this machine's own stores, as many as the test says on servers, where each takes
 * longer. `CRASH_PLACES` says otherwise, a number or `all`.
 */
const places = process.env['CRASH_PLACES'] ?? (pairName === ownPair ? 'all' : 'some');
/** By which they are chosen: `CRASH_SEED` has the same ones again. */
export const seed = Number(process.env['CRASH_SEED'] ?? Math.floor(Math.random() * 2 ** 32));

/**
 * Chooses places at random, each failure point among them.
 * @param some how many, where not all are meant
 */
export function chosenPlaces<Place extends { readonly point: string }>(
  reached: readonly Place[],
  some: number,
): readonly Place[] {
  if (places === 'all') return reached;
  const most = places === 'some' ? some : Number(places);
  const random = new SeededRandom(seed);
  const mixed = reached.map((place) => ({ place, at: random.next() })).toSorted((one, other) => one.at - other.at);
  const seen = new Set<string>();
  const isFirst = ({ place: { point } }: { readonly place: Place }): boolean => {
    const isNew = !seen.has(point);
    seen.add(point);
    return isNew;
  };
  const ofEach = mixed.filter(isFirst);
  const inOrder = new Set([...ofEach, ...mixed].map(({ place }) => place));
  return [...inOrder].slice(0, Math.max(most, ofEach.length));
}
