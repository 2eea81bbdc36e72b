import { ownPair, pairName } from './pair.ts';

/**
 * How often a property of registries is tried at random: on the other pairs of stores, where every step goes to servers, less
 * often, a fifth and ten times at least if nothing else is said. It is the same property there, of registries that are as large.
 */
export function randomRuns(onOwnPair: number, elsewhere = Math.max(10, Math.ceil(onOwnPair / 5))): number {
  return pairName === ownPair ? onOwnPair : elsewhere;
}
