import type { BlobStore } from '../blobs/store.ts';
import { change, first, type Operation } from '../metadata/operation.ts';
import { chooseIdentity, knownIdentity, leaveIdentity } from '../metadata/queries/store.ts';
import type { MetadataStore } from '../metadata/store.ts';

interface Parts {
  readonly metadata: MetadataStore;
  readonly blobs: Pick<BlobStore, 'registries' | 'leaveRegistry'>;
}

/** What is written here is no change of what the registry holds. */
const always = { whileReadOnly: true, fromReserve: true };

/** The blobs of the registry are not where they are looked for. */
export class BlobsElsewhereError extends Error {
  override readonly name = 'BlobsElsewhereError';

  /** The registry whose blobs are missed. */
  readonly registry: string;
  /** Those whose blobs are there. */
  readonly others: readonly string[];

  constructor(registry: string, others: readonly string[]) {
    super(`the blobs of registry ${registry} are not here`);
    this.registry = registry;
    this.others = others;
  }
}

/**
 * Sees that a database and the blobs are of one registry, where each could be another one's: the database has an id, which is
 * left beside the blobs. In the database first, so whatever is found after a crash is found to be right or done again.
 *
 * @param newId an id for a registry that has none
 * @returns the other registries that have their blobs in the same place
 * @throws BlobsElsewhereError where the id was left beside blobs, and is not here
 */
export async function expectOwnBlobs(
  { metadata, blobs }: Parts,
  newId: () => string,
): Promise<{ readonly others: readonly string[] }> {
  const known = await metadata.read(() => first(knownIdentity, {}));
  // After that: what is marked as left there is there.
  const there = await blobs.registries();
  const identity = known?.identity ?? (await choose(metadata, newId()));
  const others = there.filter((id) => id !== identity);
  if (known?.isLeft === 1) {
    if (!there.includes(identity)) throw new BlobsElsewhereError(identity, others);
    return { others };
  }
  await leave({ metadata, blobs }, identity);
  return { others };
}

/**
 * A copy of a database was put in place beside the blobs that were its own: they may have come from a copy too, without the
 * id, or the database from before it had one.
 */
export async function reuniteWithBlobs({ metadata, blobs }: Parts): Promise<void> {
  const known = await metadata.read(() => first(knownIdentity, {}));
  const there = await blobs.registries();
  const only = there.length === 1 ? there[0] : undefined;
  const identity = known?.identity ?? only;
  // It is given one as any other, where it needs one.
  if (identity === undefined) return;
  await leave({ metadata, blobs }, await choose(metadata, identity));
}

async function leave({ metadata, blobs }: Parts, identity: string): Promise<void> {
  await blobs.leaveRegistry(identity);
  await metadata.write(() => change(leaveIdentity, {}), always);
}

async function choose(metadata: MetadataStore, identity: string): Promise<string> {
  return await metadata.write(function* chosen(): Operation<string> {
    const row = yield* first(chooseIdentity, { identity });
    return row?.identity ?? identity;
  }, always);
}
