import { migrations } from '../migrations/all.ts';

const newest = migrations.at(-1)?.number ?? 0;

/** Under which names the connections of a registry stand in `pg_stat_activity`: what they are, and the schema that their process knows. */
export const applicationNames = { usual: `wherry/${newest}`, listening: `wherry (listening)/${newest}` } as const;

/** A regular expression of these, those of older versions too, which say no number; commands have other names. */
export const registrysNames = '^wherry( \\(listening\\))?(/[0-9]+)?$';

/**
 * The schema that the process knows whose connection has such a name, 0 for one of a version that did not say; undefined
 * where it is no registry's.
 */
export function schemaInName(name: string): number | undefined {
  const found = new RegExp(registrysNames).exec(name);
  return found === null ? undefined : Number(found[2]?.slice(1) ?? 0);
}
