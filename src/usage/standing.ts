import { all, first, type Operation } from '../metadata/operation.ts';
import { manifestTimes, parentsOf } from '../metadata/queries/holds.ts';
import { findPin } from '../metadata/queries/pins.ts';
import { trashedTagsOf } from '../metadata/queries/removals.ts';
import { linksOf, manifestsOfBlob, tagsOf } from '../metadata/queries/usage.ts';
import type { Digest } from '../oci/digest.ts';
import type { RepositoryName, TagName } from '../oci/names.ts';
import { subjectOfTag } from '../oci/tags-about.ts';

/**
 * How something stands once all that only lasts for a time is over: `held` by a tag or a pin, directly or through an
 * index or a subject, it stays; in the `trash` it goes unless it is restored; else it is `waiting` for a lease or a
 * window of its own to end.
 */
export type Standing = 'held' | 'trash' | 'waiting';

/** A tag that is taken for deleted. */
export interface WithoutTag {
  readonly repo: RepositoryName;
  readonly name: TagName;
}

/** Tells of what was deleted, by the manifest alone or by the tag that led to it, whether it is taken for collected. */
export type WithoutTrash = (repo: RepositoryName, digest: Digest, tag: TagName | undefined) => boolean;

/** What is taken for gone. */
export interface Without {
  readonly tags?: readonly WithoutTag[];
  readonly trash?: WithoutTrash;
}

/** Whether a manifest that no tag, index or subject is there to hold counts as held all the same. */
export type HoldsItself = (manifest: {
  readonly state: 'live' | 'trashed';
  readonly tagged_at: number | null;
  readonly released_at: number | null;
  readonly pushed_at: number;
  readonly last_pulled_at: number | null;
  readonly lease_until: number;
}) => boolean;

/**
 * Looks at how things stand, by the rules of the collector (collector/hold.ts), now or as if something were not there.
 * Remembers what it has found, so it is good for one look, within one read or a few close to each other.
 */
export class Standings {
  readonly #withoutTags: readonly WithoutTag[];
  readonly #withoutTrash: WithoutTrash;
  readonly #holdsItself: HoldsItself;
  readonly #held = new Map<string, boolean>();

  constructor({ tags = [], trash = () => false }: Without = {}, holdsItself: HoldsItself = () => false) {
    this.#withoutTags = tags;
    this.#withoutTrash = trash;
    this.#holdsItself = holdsItself;
  }

  *ofManifest(repo: RepositoryName, digest: Digest): Operation<Standing> {
    if (yield* this.isHeld(repo, digest)) return 'held';
    return (yield* this.#isBelowTrash(repo, digest)) ? 'trash' : 'waiting';
  }

  /** Of a blob in one repository. */
  *ofLink(repo: RepositoryName, digest: Digest): Operation<Standing> {
    let best: Standing = 'waiting';
    for (const { manifest } of yield* all(manifestsOfBlob, { repo, digest })) {
      const standing = yield* this.ofManifest(repo, manifest);
      if (standing === 'held') return standing;
      if (standing === 'trash') best = standing;
    }
    return best;
  }

  /** Whether any repository, but for one, holds a blob. */
  *isBlobHeld(digest: Digest, except?: RepositoryName): Operation<boolean> {
    for (const { repo } of yield* all(linksOf, { digest })) {
      if (repo !== except && (yield* this.isLinkHeld(repo, digest))) return true;
    }
    return false;
  }

  /** Whether one repository holds a blob. */
  *isLinkHeld(repo: RepositoryName, digest: Digest): Operation<boolean> {
    for (const { manifest } of yield* all(manifestsOfBlob, { repo, digest })) {
      if (yield* this.isHeld(repo, manifest)) return true;
    }
    return false;
  }

  /** Whether a manifest is held for as long as nobody takes a hold away. */
  *isHeld(repo: RepositoryName, digest: Digest): Operation<boolean> {
    const key = `${repo}@${digest}`;
    const known = this.#held.get(key);
    if (known !== undefined) return known;
    const held = yield* this.#search(repo, digest, new Set());
    this.#held.set(key, held);
    return held;
  }

  /** Upward, as the collector's search goes. `asked` are those whose own search is waiting for this one's result. */
  *#search(repo: RepositoryName, digest: Digest, asked: ReadonlySet<Digest>): Operation<boolean> {
    const visited = new Set<Digest>();
    const waiting = [digest];
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      if (visited.has(next)) continue;
      const row = yield* first(manifestTimes, { repo, digest: next });
      if (row === undefined) continue;
      visited.add(next);
      if ((yield* first(findPin, { repo, kind: 'manifest', name: next })) !== undefined) return true;
      for (const { name } of yield* all(tagsOf, { repo, manifest: next })) {
        if (yield* this.#isRoot(repo, name, new Set([...asked, ...visited]))) return true;
      }
      const parents = (yield* all(parentsOf, { repo, child: next })).map(({ parent }) => parent);
      waiting.push(...parents);
      if (row.state === 'live' && row.subject !== null) waiting.push(row.subject);
      if (parents.length > 0 || !this.#holdsItself(row)) continue;
      if (row.subject === null || (yield* first(manifestTimes, { repo, digest: row.subject })) === undefined)
        return true;
    }
    return (yield* first(findPin, { repo, kind: 'repository', name: '' })) !== undefined;
  }

  /** A tag about a manifest goes with it, unless it is pinned: it holds no longer than that is held. */
  *#isRoot(repo: RepositoryName, name: TagName, asked: ReadonlySet<Digest>): Operation<boolean> {
    if (this.#withoutTags.some((tag) => tag.repo === repo && tag.name === name)) return false;
    const subject = subjectOfTag(name);
    if (subject === undefined || asked.has(subject)) return true;
    if ((yield* first(manifestTimes, { repo, digest: subject })) === undefined) return true;
    if ((yield* first(findPin, { repo, kind: 'tag', name })) !== undefined) return true;
    return yield* this.#search(repo, subject, asked);
  }

  /** Of a blob, wherever it is. */
  *ofBlob(digest: Digest): Operation<Standing> {
    let best: Standing = 'waiting';
    for (const { repo } of yield* all(linksOf, { digest })) {
      const standing = yield* this.ofLink(repo, digest);
      if (standing === 'held') return standing;
      if (standing === 'trash') best = standing;
    }
    return best;
  }

  /** Whether a manifest, an index above it, its subject or what a tag says that it is about was deleted, or a tag of theirs. */
  *#isBelowTrash(repo: RepositoryName, digest: Digest): Operation<boolean> {
    const visited = new Set<Digest>();
    const waiting = [digest];
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      if (visited.has(next)) continue;
      visited.add(next);
      const row = yield* first(manifestTimes, { repo, digest: next });
      if (row === undefined) continue;
      if (row.state === 'trashed' && !this.#withoutTrash(repo, next, undefined)) return true;
      for (const { name } of yield* all(trashedTagsOf, { repo, manifest: next })) {
        if (!this.#withoutTrash(repo, next, name)) return true;
      }
      waiting.push(...(yield* all(parentsOf, { repo, child: next })).map(({ parent }) => parent));
      if (row.state === 'live' && row.subject !== null) waiting.push(row.subject);
      for (const { name } of yield* all(tagsOf, { repo, manifest: next })) {
        const subject = subjectOfTag(name);
        if (subject !== undefined) waiting.push(subject);
      }
    }
    return false;
  }
}
