import { all, change, type Operation } from '../metadata/operation.ts';
import { addStored, openUploadsAfter, storedByState } from '../metadata/queries/stored.ts';
import { objectsAfter } from '../metadata/queries/usage.ts';
import type { ObjectState } from '../metadata/schema.ts';
import type { Registry } from './registry.ts';

/** Objects of one state, and their bytes. */
export interface StoredObjects {
  readonly objects: number;
  readonly bytes: number;
}

/**
 * What the blob store holds, by the state of its objects: being uploaded (as far as requests have been answered), in a
 * repository, condemned, or dead and about to be removed.
 */
export type Stored = Readonly<Record<ObjectState, StoredObjects>>;

const nothing: StoredObjects = { objects: 0, bytes: 0 };
/** Rows that one step of a recount reads. */
const rowsPerStep = 1000;
/** Of the rows that count together (migration 20), the one that a correction goes to. */
const shard = 0;

/** Costs no more in a large registry: the database counts as it goes. */
export async function storedNow({ metadata }: Pick<Registry, 'metadata'>): Promise<Stored> {
  return await metadata.read(stored);
}

export function* stored(): Operation<Stored> {
  const found: Record<ObjectState, StoredObjects> = {
    pending: nothing,
    live: nothing,
    condemned: nothing,
    dead: nothing,
  };
  for (const { state, objects, bytes } of yield* all(storedByState, {})) found[state] = { objects, bytes };
  return found;
}

export function storedBytes({ pending, live, condemned, dead }: Stored): number {
  return pending.bytes + live.bytes + condemned.bytes + dead.bytes;
}

/** What goes by itself, when its delay is over. */
export function leavingBytes({ condemned, dead }: Stored): number {
  return condemned.bytes + dead.bytes;
}

/**
 * Counts anew: for when something has made the count wrong, which nothing should (fsck, F16). By how much it is wrong is
 * seen in one state of the database, and that much is added: whatever is stored meanwhile is counted in both.
 */
export async function recountStored({ metadata }: Pick<Registry, 'metadata'>): Promise<void> {
  const missing = await metadata.read(miscount);
  await metadata.write(
    function* correct(): Operation<void> {
      for (const [state, { objects, bytes }] of missing) yield* change(addStored, { state, shard, objects, bytes });
    },
    { fromReserve: true },
  );
}

/** What has to be added to the count of each state for it to be right. */
function* miscount(): Operation<readonly (readonly [ObjectState, StoredObjects])[]> {
  const counts: Record<ObjectState, { objects: number; bytes: number }> = {
    pending: { objects: 0, bytes: 0 },
    live: { objects: 0, bytes: 0 },
    condemned: { objects: 0, bytes: 0 },
    dead: { objects: 0, bytes: 0 },
  };
  for (let after: string | undefined = ''; after !== undefined;) {
    const rows: readonly { oid: string; state: ObjectState; size_bytes: number }[] = yield* all(objectsAfter, {
      after,
      limit: rowsPerStep,
    });
    for (const { state, size_bytes: bytes } of rows) {
      counts[state].objects++;
      counts[state].bytes += bytes;
    }
    after = rows.at(-1)?.oid;
  }
  for (let after: string | undefined = ''; after !== undefined;) {
    const rows: readonly { oid: string | null; offset_bytes: number }[] = yield* all(openUploadsAfter, {
      after,
      limit: rowsPerStep,
    });
    for (const { offset_bytes: bytes } of rows) counts.pending.bytes += bytes;
    after = rows.at(-1)?.oid ?? undefined;
  }
  const states = ['pending', 'live', 'condemned', 'dead'] as const;
  const counted = yield* stored();
  return states
    .map((state) => {
      const [there, known] = [counts[state], counted[state]];
      return [state, { objects: there.objects - known.objects, bytes: there.bytes - known.bytes }] as const;
    })
    .filter(([, { objects, bytes }]) => objects !== 0 || bytes !== 0);
}
