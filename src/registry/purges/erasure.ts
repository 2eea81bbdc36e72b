import type { BlobStore, ObjectId, Shredded } from '../../blobs/store.ts';
import type { Log } from '../../log/log.ts';
import { all, change, first, type Operation } from '../../metadata/operation.ts';
import { placeObjects } from '../../metadata/queries/purge-places.ts';
import { anyManifestPurged, objectsLeftOf, recordShredded } from '../../metadata/queries/purged-places.ts';
import { addResponsesCut, markPurgeRemoved } from '../../metadata/queries/purges.ts';
import type { MetadataStore } from '../../metadata/store.ts';
import type { Digest } from '../../oci/digest.ts';
import type { Clock } from '../clock.ts';
import { forgetObject } from '../forget-object.ts';
import { checkPurge, type PurgeCheck } from './check.ts';
import { askToCut } from './cut.ts';
import { evenReadOnly } from '../even-read-only.ts';
import { PurgeWaitsError } from './waits.ts';
import { digestsKeptOut, namesOfPlaces } from './purged-places.ts';
import type { Responses } from '../responses.ts';
import type { Siblings } from '../siblings.ts';
import { DatabaseOutdatedError, type StoreGeneration } from '../store-generation.ts';

export interface PurgeErasureParts {
  readonly metadata: MetadataStore;
  readonly blobs: BlobStore;
  readonly clock: Clock;
  readonly log: Log;
  readonly generation: Pick<StoreGeneration, 'beforeRemoval'>;
  readonly responses: Responses;
  readonly siblings: Siblings;
}

/**
 * Has nobody get any more of what is purged: breaks off the responses that send it, removes its bytes, forgets its objects
 * (T_forget), and looks whether anything is left. Each step may be done again (I12).
 */
export class PurgeErasure {
  readonly #parts: PurgeErasureParts;
  /** Responses that were broken off for a purge, and are not written down yet. */
  readonly #responsesCut = new Map<number, number>();

  constructor(parts: PurgeErasureParts) {
    this.#parts = parts;
  }

  /** Breaks off what this process sends of what another one purges. */
  async breakOff(purge: number): Promise<void> {
    const { metadata, blobs } = this.#parts;
    const digests = await digestsKeptOut(metadata, purge);
    const objects = (await namesOfPlaces(metadata, purge, 'object')).map((oid) => ({ oid }));
    const sent = await this.#cut(purge, digests, objects);
    if (sent.size > 0) await blobs.cutRemoved(sent);
  }

  /** Removes what there is of a purge, and looks what is left. @throws where the machine fails at any of it */
  async removeAndCheck(id: number, isShredding: boolean): Promise<readonly PurgeCheck[]> {
    const { metadata, blobs, clock } = this.#parts;
    const digests = await digestsKeptOut(metadata, id);
    const objects = await this.#objectsOf(id, digests);
    const sent = await this.#cut(id, digests, objects);
    const failures: Error[] = [];
    const removed = new Map(objects.map(({ oid, shredded }) => [oid, shredded]));
    // What the registry knows no more may still be sent, or be put aside.
    for (const oid of new Set([...removed.keys(), ...sent])) {
      try {
        await this.#remove(id, oid, isShredding ? { before: removed.get(oid) ?? null } : undefined);
      } catch (error) {
        failures.push(error instanceof Error ? error : new Error(String(error)));
      }
    }
    if (sent.size > 0) await blobs.cutRemoved(sent);
    const [failure] = failures;
    if (failure !== undefined) {
      const message = `${failures.length} of ${removed.size} objects could not be removed: ${failure.message}`;
      throw new AggregateError(failures, message);
    }

    // Of those that only needed what is purged, see below.
    const isOfManifest = await metadata.read(() => first(anyManifestPurged, { purge: id }));
    if (isOfManifest !== undefined && (await metadata.forgetOldPages()) === 'being-read') {
      throw new PurgeWaitsError(
        "the database's log still has older states of its pages, because something reads them, such as a check, a backup or another program that has the database open",
      );
    }
    const removedAt = clock.now();
    await metadata.write(() => change(markPurgeRemoved, { purge: id, at: removedAt }), { fromReserve: true });
    return await checkPurge({ metadata, blobs }, id, await namesOfPlaces(metadata, id, 'object'));
  }

  /** Breaks off whoever is sent any of it. @returns which objects they were sent */
  async #cut(
    purge: number,
    digests: readonly Digest[],
    objects: readonly { readonly oid: ObjectId }[],
  ): Promise<ReadonlySet<ObjectId>> {
    const { metadata, responses, siblings } = this.#parts;
    const oids = objects.map(({ oid }) => oid);
    const here = responses.cut(digests, oids);
    const elsewhere = await askToCut(siblings, digests, oids);
    const sent = new Set([...here.oids, ...elsewhere.oids]);
    const count = here.count + elsewhere.count;
    const total = (this.#responsesCut.get(purge) ?? 0) + count;
    if (total > 0) {
      this.#responsesCut.set(purge, total);
      await this.#note(async () => {
        await metadata.writeUnsynced(() => change(addResponsesCut, { purge, count: total }), evenReadOnly);
        this.#responsesCut.delete(purge);
      });
    }
    return sent;
  }

  /** Those whose bytes may be there: also of uploads that have been refused since. */
  async #objectsOf(purge: number, digests: readonly Digest[]): Promise<readonly PlacedObject[]> {
    const { metadata } = this.#parts;
    await this.#note(async () => {
      await metadata.writeUnsynced(() => placeObjectsOf(purge, digests), { fromReserve: true });
    });
    return await metadata.read(() => all(objectsLeftOf, { purge }));
  }

  /** Writes something down where that can be done: what cannot be noted must be removed all the same. */
  async #note(write: () => Promise<void>): Promise<void> {
    try {
      await write();
    } catch (error) {
      this.#parts.log.error({ err: error }, 'what comes of a purge could not be written into its record');
    }
  }

  /**
   * The bytes of a dead object, at once: X2 lies between the second and the third step.
   *
   * @param shredding where they are to be overwritten before, and what came of that the last time
   */
  async #remove(
    purge: number,
    oid: ObjectId,
    shredding: { readonly before: Shredded['outcome'] | null } | undefined,
  ): Promise<void> {
    const { metadata, blobs, clock } = this.#parts;
    await this.#beforeRemoval();
    if (shredding !== undefined) {
      const { outcome, words } = await this.#shred(oid);
      // What was done before it was interrupted has been done.
      if (outcome !== 'gone' || shredding.before === null) {
        await this.#note(async () => {
          await metadata.write(() => change(recordShredded, { purge, oid, outcome, words }), { fromReserve: true });
        });
      }
    }
    let uncut: { readonly error: unknown } | undefined;
    try {
      await blobs.truncate(oid, 0);
    } catch (error) {
      // Some file systems need room even for that. Who reads it is cut off once more when it is tried again.
      uncut = { error };
    }
    const removedAt = clock.now();
    await blobs.remove(oid);
    await blobs.removeQuarantined(oid);
    if (uncut !== undefined) throw uncut.error;
    await metadata.writeUnsynced(() => forgetObject(oid, { blobs, removedAt }), { fromReserve: true });
  }

  /** What cannot be overwritten is removed all the same. */
  async #shred(oid: ObjectId): Promise<Shredded> {
    try {
      return await this.#parts.blobs.shred(oid);
    } catch (error) {
      this.#parts.log.error({ err: error, oid }, 'an object could not be overwritten before it is removed');
      return { outcome: 'not-overwritten', words: `the bytes could not be overwritten: ${String(error)}` };
    }
  }

  /** A database that is older than the blobs may not know what needs an object, but does know what this one is. */
  async #beforeRemoval(): Promise<void> {
    try {
      await this.#parts.generation.beforeRemoval();
    } catch (error) {
      if (!(error instanceof DatabaseOutdatedError)) throw error;
    }
  }
}

interface PlacedObject {
  readonly oid: ObjectId;
  readonly shredded: Shredded['outcome'] | null;
}

function* placeObjectsOf(purge: number, digests: readonly Digest[]): Operation<void> {
  for (const digest of digests) yield* change(placeObjects, { purge, digest });
}
