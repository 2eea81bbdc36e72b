import { ownPair, pairName } from './pair.ts';

/**
 * How often a property of registries is tried at random: where every step goes to servers, on the other pairs of stores, a
 * fifth as often, but ten times. It is the same property there, of registries that are as large.
 */
export function randomRuns(onOwnPair: number): number {
  return pairName === ownPair ? onOwnPair : Math.max(10, Math.ceil(onOwnPair / 5));
}
