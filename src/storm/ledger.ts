import { digestsIn, type StormManifest } from './content.ts';
import { TagRecord, type Target } from './tag-record.ts';

/** A delete of a digest that has been sent; one of these is called when its outcome is known to be that, or unknown. */
export interface Deletion {
  acknowledged(): void;
  refused(): void;
  unanswered(): void;
}

/** An artifact that was pushed while a tag held its subject. */
export interface ReferrerRecord {
  readonly tag: TagRecord;
  readonly target: Target;
  readonly subject: StormManifest;
  /** Whether the registry has said that it lists it. */
  readonly isListed: boolean;
}

/**
 * Knows what must be there: where each tag leads, what has been acknowledged, and what has been deleted. A tag has one
 * worker that moves it, so that its state is known; digests are everybody's. What other processes do does not matter
 * here: they move other tags, and delete only digests that are theirs.
 */
export class Ledger {
  readonly tags: TagRecord[] = [];
  readonly #tagOf = new Map<string, TagRecord>();
  readonly #referrers = new Map<string, ReferrerRecord>();
  /** By repository and digest: the last step of a delete that may have been carried out; Infinity while one goes on. */
  readonly #deletedAt = new Map<string, number>();
  #step = 0;

  next(): number {
    this.#step += 1;
    return this.#step;
  }

  tag(repository: string, name: string): TagRecord {
    const key = `${repository}:${name}`;
    const known = this.#tagOf.get(key);
    if (known !== undefined) return known;
    const tag = new TagRecord(this, repository, name);
    this.#tagOf.set(key, tag);
    this.tags.push(tag);
    return tag;
  }

  wasDeletedSince(repository: string, digest: string, step: number): boolean {
    return (this.#deletedAt.get(`${repository} ${digest}`) ?? -1) >= step;
  }

  /** Whether no client's delete can have taken anything of an image since its push began: it must be there whole. */
  isPromisedWhole(repository: string, { manifest, since }: Target): boolean {
    for (const digest of digestsIn(manifest)) if (this.wasDeletedSince(repository, digest, since)) return false;
    return true;
  }

  /**
   * A delete of a digest is about to be sent. It takes the tags along that lead there. Undefined where another one goes
   * on, whose outcome nobody could tell from this one's.
   */
  deleting(repository: string, digest: string): Deletion | undefined {
    const key = `${repository} ${digest}`;
    const before = this.#deletedAt.get(key);
    if (before === Infinity) return undefined;
    this.#deletedAt.set(key, Infinity);
    const begunAt = this.next();
    const leadingThere = this.tags.filter(
      (tag) => tag.repository === repository && tag.states.some((state) => leadsTo(state, digest)),
    );
    const newlyAbsent = leadingThere.filter((tag) => !tag.states.includes('absent'));
    for (const tag of leadingThere) tag.allow('absent');
    const unchanged = (tag: TagRecord): boolean => !tag.isChanging && tag.changedAt < begunAt;
    const ended = (): void => void this.#deletedAt.set(key, this.next());
    return {
      acknowledged: () => {
        ended();
        for (const tag of leadingThere.filter(unchanged)) {
          for (const state of tag.states) if (leadsTo(state, digest)) tag.rule(state);
        }
      },
      refused: () => {
        if (before === undefined) this.#deletedAt.delete(key);
        else this.#deletedAt.set(key, before);
        for (const tag of newlyAbsent.filter(unchanged)) tag.rule('absent');
      },
      unanswered: ended,
    };
  }

  /** Images that must be there and need a digest. */
  promisedImagesWith(repository: string, digest: string): readonly TagRecord[] {
    return this.tags.filter(({ repository: where, certain }) => {
      if (where !== repository || certain === undefined) return false;
      return [...digestsIn(certain.manifest)].includes(digest) && this.isPromisedWhole(repository, certain);
    });
  }

  /** An artifact was acknowledged; `target.since` is when its push began. */
  referrerPushed(referrer: ReferrerRecord): void {
    this.#referrers.set(`${referrer.tag.repository}:${referrer.tag.name} ${referrer.target.manifest.digest}`, referrer);
  }

  /** Artifacts whose subjects have been held ever since they were pushed: they must be there. */
  get heldReferrers(): readonly ReferrerRecord[] {
    return [...this.#referrers.values()].filter((referrer) => this.isHeld(referrer));
  }

  isHeld({ tag, target, subject }: ReferrerRecord): boolean {
    return tag.hasHeldSince(target.since, subject.digest) && this.isPromisedWhole(tag.repository, target);
  }
}

function leadsTo(state: TagRecord['states'][number], digest: string): boolean {
  return state !== 'absent' && state.manifest.digest === digest;
}
