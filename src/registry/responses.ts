import type { ObjectId } from '../blobs/store.ts';
import type { Digest } from '../oci/digest.ts';

/** A response that sends the bytes of a blob or a manifest. */
export interface ContentResponse {
  /** Whether it has been sent, or its client is gone. */
  isOver(): boolean;
  /** Breaks it off, as soon as that can be. @returns whether anything of it was still to be sent */
  cut(): boolean;
}

/** What a response sends. */
export interface SentContent {
  /** Undefined for a manifest, whose bytes are in memory. */
  readonly oid: ObjectId | undefined;
  readonly digest: Digest;
}

/** What came of breaking off all responses that send some contents. */
export interface CutResponses {
  /** How many were under way that had not been broken off before. */
  readonly count: number;
  /** What they were sending: objects of which the registry may know nothing any more while they are still read. */
  readonly oids: ReadonlySet<ObjectId>;
}

interface Noted {
  readonly oid: ObjectId | undefined;
  readonly response: ContentResponse;
  isCut: boolean;
}

/** So many responses are noted before it is looked which of them are over. */
const fewestNoted = 256;

/**
 * Which responses send which contents, so that a purge can break them off: by digest, as an object may be collected while
 * its bytes are still being sent. What they cost is one entry in a list: the runtime sends the files by itself and tells
 * nobody when it is done, so now and then those are dropped that are over.
 */
export class Responses {
  readonly #noted = new Map<Digest, Noted[]>();
  /** Objects that were cut: a response that is on its way to them comes too late. */
  readonly #cut = new Set<ObjectId>();
  /** When the responses that send a content were cut last, and when all of them were. */
  readonly #cutAt = new Map<Digest, number>();
  #allCutAt = 0;
  /** Grows whenever any are cut. */
  #moment = 0;
  #count = 0;
  #lookAt = fewestNoted;

  /** How many are noted, under way or over. */
  get count(): number {
    return this.#count;
  }

  /** A moment: what is looked up after it knows of all that was cut before. */
  get moment(): number {
    return this.#moment;
  }

  /**
   * Notes a response.
   *
   * @param since a moment before what it sends was looked up
   * @returns false where it comes too late, and must not be given: what it would send is purged
   */
  begin({ oid, digest }: SentContent, response: ContentResponse, since = this.#moment): boolean {
    if (oid !== undefined && this.#cut.has(oid)) return false;
    if (this.#allCutAt > since || (this.#cutAt.get(digest) ?? 0) > since) return false;
    const noted = { oid, response, isCut: false };
    const ofDigest = this.#noted.get(digest);
    if (ofDigest === undefined) this.#noted.set(digest, [noted]);
    else ofDigest.push(noted);
    this.#count++;
    if (this.#count >= this.#lookAt) this.#dropThoseThatAreOver();
    return true;
  }

  /** Breaks off all that send some contents, and lets none begin to send their objects from here on. */
  cut(digests: Iterable<Digest>, objects: Iterable<ObjectId>): CutResponses {
    for (const oid of objects) this.#cut.add(oid);
    this.#moment++;
    const oids = new Set<ObjectId>();
    let count = 0;
    for (const digest of digests) {
      this.#cutAt.set(digest, this.#moment);
      for (const noted of this.#noted.get(digest) ?? []) {
        const { oid, response } = noted;
        if (response.isOver()) continue;
        if (oid !== undefined) {
          this.#cut.add(oid);
          oids.add(oid);
        }
        if (response.cut() && !noted.isCut) count++;
        noted.isCut = true;
      }
    }
    return { count, oids };
  }

  /** Breaks off all that send anything, and lets none begin that was looked up before. @returns what they were sending */
  cutAll(): ReadonlySet<ObjectId> {
    this.#moment++;
    this.#allCutAt = this.#moment;
    const oids = new Set<ObjectId>();
    for (const noted of this.#noted.values()) {
      for (const each of noted) {
        if (each.response.isOver()) continue;
        if (each.oid !== undefined) oids.add(each.oid);
        each.response.cut();
        each.isCut = true;
      }
    }
    return oids;
  }

  #dropThoseThatAreOver(): void {
    this.#count = 0;
    for (const [digest, noted] of this.#noted) {
      const left = noted.filter(({ response }) => !response.isOver());
      if (left.length === 0) this.#noted.delete(digest);
      else this.#noted.set(digest, left);
      this.#count += left.length;
    }
    // Twice as many as are left: so each is looked at a few times only, however many there are.
    this.#lookAt = Math.max(fewestNoted, 2 * this.#count);
  }
}
