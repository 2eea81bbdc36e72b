import type { BlobStore } from '../blobs/store.ts';
import { all, change, first, type Operation } from '../metadata/operation.ts';
import { objectsAfter } from '../metadata/queries/objects.ts';
import { chooseIdentity, knownGeneration, knownIdentity, leaveIdentity } from '../metadata/queries/store.ts';
import type { MetadataStore } from '../metadata/store.ts';
import { evenReadOnly } from './even-read-only.ts';

interface Parts {
  readonly metadata: MetadataStore;
  readonly blobs: Pick<BlobStore, 'registries' | 'leaveRegistry' | 'size' | 'generation'>;
}

/** How often it is looked whether another process, which has chosen the id, has left it beside the blobs. */
const looks = 50;

/** The blobs of the registry are not where they are looked for. */
export class BlobsElsewhereError extends Error {
  override readonly name = 'BlobsElsewhereError';
  /** The registry whose blobs are missed; undefined where it has no id yet. */
  readonly registry: string | undefined;
  /** Those whose blobs are there. */
  readonly others: readonly string[];

  constructor(registry: string | undefined, others: readonly string[]) {
    super(`the blobs of the registry${registry === undefined ? '' : ` ${registry}`} are not here`);
    this.registry = registry;
    this.others = others;
  }
}

/**
 * Sees that a database and the blobs are of one registry, where each could be another one's: the database has an id, which is
 * left beside the blobs. In the database first, so whatever is found after a crash is found to be right or done again.
 *
 * @param newId an id for a registry that has none
 * @param pause lets some time pass between two looks
 * @returns the other registries that have their blobs in the same place
 * @throws BlobsElsewhereError where the id was left beside blobs, and is not here; or where none was left yet, and what the
 *   database knows is not here
 */
export async function expectOwnBlobs(
  { metadata, blobs }: Parts,
  newId: () => string,
  pause: () => Promise<void>,
): Promise<{ readonly others: readonly string[] }> {
  let known = await metadata.read(() => first(knownIdentity, {}));
  if (known?.isLeft !== 1) {
    await expectSomeBlobs({ metadata, blobs });
    const own = newId();
    const chosen = known?.identity ?? (await choose(metadata, own));
    // One process leaves it, in its own place: the others must find it in theirs.
    if (chosen !== own) known = await seenLeft(metadata, pause);
    if (known?.isLeft !== 1) {
      await leave({ metadata, blobs }, chosen);
      return { others: (await blobs.registries()).filter((id) => id !== chosen) };
    }
  }
  // After that: what is marked as left there is there.
  const there = await blobs.registries();
  const identity = known.identity ?? '';
  const others = there.filter((id) => id !== identity);
  if (!there.includes(identity)) throw new BlobsElsewhereError(identity, others);
  return { others };
}

/**
 * A copy of a database was put in place beside the blobs that were its own: they may have come from a copy too, without the
 * id. One that has none gets it when it is opened, as any other.
 *
 * @throws BlobsElsewhereError where the blobs are those of others
 */
export async function reuniteWithBlobs({ metadata, blobs }: Parts): Promise<void> {
  const known = await metadata.read(() => first(knownIdentity, {}));
  if (known?.identity === null || known?.identity === undefined) return;
  const { identity } = known;
  const there = await blobs.registries();
  if (there.length > 0 && !there.includes(identity)) throw new BlobsElsewhereError(identity, there);
  await leave({ metadata, blobs }, identity);
}

/** The mark in the database last: whoever finds it finds the id beside the blobs. */
async function leave({ metadata, blobs }: Parts, identity: string): Promise<void> {
  await blobs.leaveRegistry(identity);
  await metadata.write(() => change(leaveIdentity, {}), evenReadOnly);
}

/** Waits for another process to leave the id, which may have died before it did. @returns undefined where it has not */
async function seenLeft(metadata: MetadataStore, pause: () => Promise<void>) {
  for (let look = 0; look < looks; look++) {
    await pause();
    const known = await metadata.read(() => first(knownIdentity, {}));
    if (known?.isLeft === 1) return known;
  }
  return undefined;
}

/**
 * Before an id is left for the first time: a database that has been in use before there were ids knows some blobs. A copy that was
 * put in place may know none of those that are there.
 */
async function expectSomeBlobs({ metadata, blobs }: Parts): Promise<void> {
  const generation = (await metadata.read(() => first(knownGeneration, {})))?.generation ?? 0;
  if (((await blobs.generation()) ?? 0) > generation) return;
  const some = await metadata.read(() => all(objectsAfter, { after: '', limit: 20 }));
  const known = some.filter(({ state }) => state === 'live');
  for (const { oid } of known) if ((await blobs.size(oid)) !== undefined) return;
  if (known.length > 0) throw new BlobsElsewhereError(undefined, await blobs.registries());
}

async function choose(metadata: MetadataStore, identity: string): Promise<string> {
  return await metadata.write(function* chosen(): Operation<string> {
    const row = yield* first(chooseIdentity, { identity });
    return row?.identity ?? identity;
  }, evenReadOnly);
}
