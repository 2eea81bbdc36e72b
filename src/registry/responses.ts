import type { ObjectId } from '../blobs/store.ts';

/** A response that sends an object's bytes. */
export interface BlobResponse {
  /** Whether it has been sent, or its client is gone. */
  isOver(): boolean;
  /** Breaks it off, as soon as the runtime can. */
  cut(): void;
}

/** So many responses are noted before it is looked which of them are over. */
const fewestNoted = 256;

/**
 * Which responses send which objects, so that a purge can break them off. What they cost is one entry in a list: the
 * runtime sends the files by itself and tells nobody when it is done, so now and then those are dropped that are over.
 */
export class Responses {
  readonly #noted = new Map<ObjectId, BlobResponse[]>();
  /** Objects that were cut: a response that was on its way to them comes too late. */
  readonly #cut = new Set<ObjectId>();
  #count = 0;
  #lookAt = fewestNoted;

  /** How many are noted, under way or over. */
  get count(): number {
    return this.#count;
  }

  begin(oid: ObjectId, response: BlobResponse): void {
    if (this.#cut.has(oid)) response.cut();
    const ofObject = this.#noted.get(oid);
    if (ofObject === undefined) this.#noted.set(oid, [response]);
    else ofObject.push(response);
    this.#count++;
    if (this.#count >= this.#lookAt) this.#dropThoseThatAreOver();
  }

  /** Breaks off all that send an object, and all that begin to from here on. @returns how many were under way */
  cut(oid: ObjectId): number {
    this.#cut.add(oid);
    const underWay = (this.#noted.get(oid) ?? []).filter((response) => !response.isOver());
    for (const response of underWay) response.cut();
    return underWay.length;
  }

  #dropThoseThatAreOver(): void {
    this.#count = 0;
    for (const [oid, responses] of this.#noted) {
      const left = responses.filter((response) => !response.isOver());
      if (left.length === 0) this.#noted.delete(oid);
      else this.#noted.set(oid, left);
      this.#count += left.length;
    }
    // Twice as many as are left: so each is looked at a few times only, however many there are.
    this.#lookAt = Math.max(fewestNoted, 2 * this.#count);
  }
}
