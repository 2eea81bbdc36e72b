import { settingsInForce } from '../audit/rules-in-force.ts';
import type { MetadataStore } from '../metadata/store.ts';
import { type Immutability, noImmutability } from '../registry/immutability.ts';
import { ImmutabilitySet } from './immutability-set.ts';

/** The key under which the rules stand, in the configuration and among the rules in force. */
export const immutableKey = 'immutable';

/**
 * What is immutable by the rules of the last start, for whoever has the registry without its server: the configuration at
 * hand may be another one.
 */
export async function immutabilityOf(metadata: MetadataStore): Promise<Immutability> {
  const settings = await settingsInForce(metadata, immutableKey);
  if (settings === undefined) return noImmutability;
  const parsed = ImmutabilitySet.parse(settings);
  if (!parsed.ok) throw new Error(`the database has rules that make no sense: ${parsed.problems.join('; ')}`);
  return parsed.set;
}
