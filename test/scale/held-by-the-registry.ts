import { PostgresTables } from '../pairs/tables.ts';
import { brokenRows } from './invariants/broken-rows.ts';

/** What a registry whose queue has been worked off has no more of, by its name; those of which there is something. */
export function unfinishedIn(database: string): readonly string[] {
  const counts = PostgresTables.at(database).rows<Readonly<Record<string, number>>>(
    // A session that has ended well is remembered for an hour, for a client that lost the answer; it holds nothing.
    `select (select count(*) from task where kind <> 'upload') as tasks,
            (select count(*) from upload where state = 'open') as "open uploads",
            (select count(*) from object where state <> 'live') as "objects that are not live",
            (select count(*) from purge where checked_at is null) as purges`,
  );
  return Object.entries(counts[0] ?? {}).flatMap(([name, count]) => (count === 0 ? [] : [`${count} ${name}`]));
}

/** The objects that a registry holds, as keys below its prefix. */
export function heldKeys(database: string): readonly string[] {
  const rows = PostgresTables.at(database).rows<{ readonly oid: string }>(
    `select oid from object where state = 'live'`,
  );
  return rows.map(({ oid }) => `objects/${oid.slice(0, 2)}/${oid}`).toSorted();
}

/** What breaks the invariants of section 2 of the protocol as far as rows alone can tell, in words. */
export function brokenRowsIn(database: string): readonly string[] {
  return brokenRows.flatMap(({ invariant, words, sql }) => {
    const rows = PostgresTables.at(database).rows<object>(sql);
    return rows.map((row) => `${invariant}: ${words}: ${JSON.stringify(row)}`);
  });
}

/** Those keys of a registry's bucket that have bytes of blobs, and not what says whose bucket it is and how old. */
export function keysOfBlobs(keys: readonly string[]): readonly string[] {
  return keys.filter((key) => key !== 'wherry' && key !== 'generation' && !key.startsWith('registries/'));
}
