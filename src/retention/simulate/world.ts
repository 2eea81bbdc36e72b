import type { Digest } from '../../oci/digest.ts';
import type { TagName } from '../../oci/names.ts';
import { isSignatureType } from '../../oci/signature-types.ts';
import { subjectOfTag } from '../../oci/tags-about.ts';
import type { Content, Item, TagFacts, UntaggedFacts } from '../facts.ts';
import { type HeldContent, type HeldContents, type Which } from './held-contents.ts';
import type { ManifestPast, RepositoryHistory } from './history.ts';

/** A manifest in a world. */
export interface WorldManifest {
  readonly past: ManifestPast;
  isThere: boolean;
  /** Since it came. */
  everTagged: boolean;
  /** It stays by itself, as one that was pushed by its digest and waits for its first tag. */
  isWaiting: boolean;
  pushedAt: number;
  pulledAt: number | null;
  readonly tags: Set<WorldTag>;
  /** Tags of older clients that are about it. */
  readonly tagsAbout: Set<WorldTag>;
  // Whether they are there or not.
  readonly children: WorldManifest[];
  readonly parents: WorldManifest[];
  readonly referrers: WorldManifest[];
  subject: WorldManifest | undefined;
}

/** A tag in a world. */
export interface WorldTag {
  readonly name: TagName;
  readonly manifest: WorldManifest;
  readonly taggedAt: number;
  pushedAt: number;
  readonly isPinned: boolean;
  /** What it is about, whether that is there or not. */
  readonly about: WorldManifest | undefined;
}

/** What goes together. */
export interface Going {
  readonly tags: ReadonlySet<WorldTag>;
  readonly manifests: ReadonlySet<WorldManifest>;
  /** Those that stay, though something that held them goes. */
  readonly released: ReadonlySet<WorldManifest>;
}

/** Contents of a repository, and how many of its manifests hold each of them in each world. */
export class RepositoryContents {
  readonly #contents: HeldContents;
  readonly #counts = new Map<HeldContent, Count>();
  readonly #ofManifest = new Map<ManifestPast, readonly Count[]>();

  constructor(contents: HeldContents) {
    this.#contents = contents;
  }

  of(past: ManifestPast): readonly Count[] {
    let counts = this.#ofManifest.get(past);
    if (counts === undefined) {
      counts = past.blobs.map((content) => this.#countOf(content));
      this.#ofManifest.set(past, counts);
    }
    return counts;
  }

  #countOf(content: Content): Count {
    const held = this.#contents.of(content.digest, content.sizeBytes);
    let count = this.#counts.get(held);
    if (count === undefined) {
      count = { content, held, holders: [0, 0] };
      this.#counts.set(held, count);
    }
    return count;
  }

  /** From a time on, all changes are told; what is held is told as from that time. */
  tellFrom(at: number): void {
    for (const { held, holders } of this.#counts.values()) {
      for (const which of [0, 1] as const) if (holders[which] > 0) held.change(at, which, true);
    }
  }
}

interface Count {
  readonly content: Content;
  readonly held: HeldContent;
  readonly holders: [number, number];
}

/** Whoever follows what changes in a world. */
export interface WorldObserver {
  /** Something may have come, gone, or be judged otherwise from now on. */
  touched(one: WorldTag | WorldManifest): void;
  left(going: Going, at: number): void;
}

/**
 * A repository as it is at a time: its tags and manifests, and what holds what, by the rules of the collector, but
 * without the trash, leases and uploads: what nothing holds is gone at once. It is moved on by what happens.
 */
export class World {
  readonly tags = new Map<TagName, WorldTag>();
  /** Of all contents that are held, each counted once. */
  sizeBytes = 0;
  /** Whether contents that come and go are told. */
  isTold = false;
  readonly #which: Which;
  readonly #history: RepositoryHistory;
  readonly #contents: RepositoryContents;
  readonly #observer: WorldObserver | undefined;
  readonly #manifests = new Map<Digest, WorldManifest>();
  readonly #tagsAbout = new Map<Digest, Set<WorldTag>>();

  constructor(
    history: RepositoryHistory,
    { which, contents, observer }: { which: Which; contents: RepositoryContents; observer?: WorldObserver },
  ) {
    this.#which = which;
    this.#history = history;
    this.#contents = contents;
    this.#observer = observer;
    for (const past of history.manifests.values()) this.#add(past);
    for (const manifest of this.#manifests.values()) {
      for (const digest of manifest.past.children) {
        const child = this.#manifests.get(digest);
        if (child === undefined) continue;
        manifest.children.push(child);
        child.parents.push(manifest);
      }
      const { subject } = manifest.past;
      manifest.subject = subject === null ? undefined : this.#manifests.get(subject);
      manifest.subject?.referrers.push(manifest);
    }
  }

  #add(past: ManifestPast): void {
    this.#manifests.set(past.digest, {
      past,
      isThere: false,
      everTagged: false,
      isWaiting: false,
      pushedAt: 0,
      pulledAt: null,
      tags: new Set(),
      tagsAbout: this.#aboutOf(past.digest),
      children: [],
      parents: [],
      referrers: [],
      subject: undefined,
    });
  }

  #aboutOf(digest: Digest): Set<WorldTag> {
    let tags = this.#tagsAbout.get(digest);
    if (tags === undefined) {
      tags = new Set();
      this.#tagsAbout.set(digest, tags);
    }
    return tags;
  }

  /** A manifest, whether it is there or not. */
  manifest(digest: Digest): WorldManifest | undefined {
    return this.#manifests.get(digest);
  }

  /** A push by a tag or by a digest: what was not there comes, with all that it lists. */
  push(at: number, name: TagName | undefined, digest: Digest): void {
    const manifest = this.#manifests.get(digest);
    if (manifest === undefined) return;
    this.#enter(at, manifest);
    manifest.pushedAt = at;
    if (name === undefined) {
      if (!manifest.everTagged) manifest.isWaiting = true;
      this.#observer?.touched(manifest);
      return;
    }
    const before = this.tags.get(name);
    if (before?.manifest === manifest) {
      before.pushedAt = at;
      this.#observer?.touched(before);
      return;
    }
    const subject = subjectOfTag(name);
    const about = subject === undefined ? undefined : this.#manifests.get(subject);
    const isPinned = this.#history.pinnedTags.has(name);
    const tag: WorldTag = { name, manifest, taggedAt: at, pushedAt: at, isPinned, about };
    this.tags.set(name, tag);
    manifest.tags.add(tag);
    manifest.everTagged = true;
    manifest.isWaiting = false;
    this.#observer?.touched(manifest);
    this.#observer?.touched(tag);
    if (about !== undefined) {
      about.tagsAbout.add(tag);
      this.#touchAbove(about);
    }
    if (before !== undefined) this.#leave(at, this.goingWith(before), before);
  }

  /** A HEAD by a client that may push counts as a push of what is there. */
  ask(at: number, name: TagName | undefined, digest: Digest): void {
    const manifest = name === undefined ? this.#manifests.get(digest) : this.tags.get(name)?.manifest;
    if (manifest?.isThere === true && manifest.past.digest === digest) this.push(at, name, digest);
  }

  /** A tag goes, with all that nothing else holds. */
  removeTag(at: number, name: TagName): void {
    const tag = this.tags.get(name);
    if (tag !== undefined) this.#leave(at, this.goingWith(tag));
  }

  /** A manifest goes whatever holds it, with its tags and all that nothing else holds. */
  removeManifest(at: number, digest: Digest): void {
    const manifest = this.#manifests.get(digest);
    if (manifest?.isThere === true) this.#leave(at, this.goingWithManifest(manifest));
  }

  /** What was worked out to go together goes. */
  remove(at: number, going: Going): void {
    this.#leave(at, going);
  }

  pull(at: number, digest: Digest): void {
    const manifest = this.#manifests.get(digest);
    if (manifest?.isThere !== true) return;
    manifest.pulledAt = Math.max(at, manifest.pulledAt ?? at);
    if (this.#observer === undefined) return;
    if (manifest.parents.length === 0) return this.#touch(manifest);
    for (const each of reached([manifest], ({ parents }) => parents.filter(isThere))) this.#touch(each);
  }

  /** What would go if a tag went. */
  goingWith(tag: WorldTag): Going {
    return this.#cascade(new Set([tag]), [tag.manifest], undefined);
  }

  goingWithManifest(manifest: WorldManifest): Going {
    return this.#cascade(new Set(manifest.tags), [manifest], manifest);
  }

  /** Of what goes together, the bytes that nothing else in the repository holds. */
  freedBytes({ manifests }: Going): number {
    const gone = new Map<Count, number>();
    let sum = 0;
    for (const { past } of manifests) {
      for (const count of this.#contents.of(past)) {
        const times = (gone.get(count) ?? 0) + 1;
        gone.set(count, times);
        if (times === count.holders[this.#which]) sum += count.content.sizeBytes;
      }
    }
    return sum;
  }

  /** What retention judges: a tag, or a manifest under none; undefined for what only goes with something else. */
  itemOf(one: WorldTag | WorldManifest): Item | undefined {
    return 'name' in one ? this.#tagItem(one) : this.#untaggedItem(one);
  }

  #tagItem(tag: WorldTag): TagFacts | undefined {
    if (this.tags.get(tag.name) !== tag || tag.about?.isThere === true) return undefined;
    const { manifest } = tag;
    const { past } = manifest;
    const contents = this.#lazyContents(manifest);
    return {
      kind: 'tag',
      name: tag.name,
      digest: past.digest,
      pushedAt: tag.pushedAt,
      taggedAt: tag.taggedAt,
      pulledAt: lastPull(manifest),
      mediaType: past.mediaType,
      artifactType: past.artifactType,
      labels: past.labels,
      annotations: past.annotations,
      isSigned: isSigned(manifest),
      isPinned: tag.isPinned || past.isPinned || this.#history.isPinned,
      follows: null,
      get contents() {
        return contents();
      },
      get sizeBytes() {
        return sizeOf(contents());
      },
    };
  }

  #untaggedItem(manifest: WorldManifest): UntaggedFacts | undefined {
    if (!manifest.isThere || !manifest.isWaiting) return undefined;
    if (manifest.subject?.isThere === true || manifest.parents.some(isThere)) return undefined;
    const { past } = manifest;
    const contents = this.#lazyContents(manifest);
    return {
      kind: 'untagged',
      digest: past.digest,
      pushedAt: manifest.pushedAt,
      taggedAt: null,
      untaggedAt: null,
      pulledAt: lastPull(manifest),
      mediaType: past.mediaType,
      artifactType: past.artifactType,
      labels: past.labels,
      annotations: past.annotations,
      isSigned: isSigned(manifest),
      isPinned: past.isPinned || this.#history.isPinned,
      follows: null,
      get contents() {
        return contents();
      },
      get sizeBytes() {
        return sizeOf(contents());
      },
    };
  }

  /** Few policies ask for them. What changes below a manifest makes another item of it. */
  #lazyContents(manifest: WorldManifest): () => readonly Content[] {
    let known: readonly Content[] | undefined;
    return () => (known ??= this.#contentsBelow(manifest));
  }

  #contentsBelow(manifest: WorldManifest): readonly Content[] {
    const below = reached([manifest], ({ children, referrers, tagsAbout }) => [
      ...children.filter(isThere),
      ...referrers.filter(isThere),
      ...[...tagsAbout].map((tag) => tag.manifest),
    ]);
    return [...new Set([...below].flatMap(({ past }) => this.#contents.of(past)))].map(({ content }) => content);
  }

  #enter(at: number, manifest: WorldManifest): void {
    if (manifest.isThere) return;
    manifest.isThere = true;
    for (const count of this.#contents.of(manifest.past)) this.#hold(at, count, 1);
    for (const child of manifest.children) this.#enter(at, child);
    if (this.#observer === undefined) return;
    this.#touchAbove(manifest);
    for (const each of [...manifest.children, ...manifest.referrers]) this.#observer.touched(each);
    for (const tag of manifest.tagsAbout) this.#observer.touched(tag);
  }

  #hold(at: number, { content, held, holders }: Count, by: 1 | -1): void {
    const which = this.#which;
    holders[which] += by;
    if (holders[which] !== (by === 1 ? 1 : 0)) return;
    this.sizeBytes += by * content.sizeBytes;
    if (this.isTold) held.change(at, which, by === 1);
  }

  /** @param except a tag that has its name only since another was pushed */
  #leave(at: number, going: Going, except?: WorldTag): void {
    for (const tag of going.tags) {
      if (tag !== except) this.tags.delete(tag.name);
      tag.manifest.tags.delete(tag);
      tag.about?.tagsAbout.delete(tag);
      this.#observer?.touched(tag);
      if (tag.about !== undefined) this.#touchAbove(tag.about);
    }
    for (const manifest of going.manifests) {
      manifest.isThere = false;
      manifest.everTagged = false;
      manifest.isWaiting = false;
      manifest.pulledAt = null;
      for (const count of this.#contents.of(manifest.past)) this.#hold(at, count, -1);
    }
    for (const manifest of going.released) {
      manifest.isWaiting = false;
      this.#observer?.touched(manifest);
    }
    if (this.#observer === undefined) return;
    for (const manifest of going.manifests) {
      this.#touchAbove(manifest);
      // Those that are pinned stay, and are judged by themselves from here on.
      for (const tag of manifest.tagsAbout) this.#observer.touched(tag);
    }
    this.#observer.left(going, at);
  }

  /** What goes with some tags, and with a manifest that goes whatever holds it. */
  #cascade(tags: Set<WorldTag>, from: readonly WorldManifest[], forced: WorldManifest | undefined): Going {
    const manifests = new Set<WorldManifest>();
    const released = new Set<WorldManifest>();
    const waiting = [...from];
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      if (!next.isThere || manifests.has(next)) continue;
      if (next !== forced && this.#isHeld(next, { tags, manifests, released })) continue;
      manifests.add(next);
      const freed = [...next.children, ...next.referrers].filter(isThere);
      for (const tag of next.tagsAbout) {
        if (tag.isPinned || tags.has(tag)) continue;
        tags.add(tag);
        freed.push(tag.manifest);
      }
      for (const each of freed) released.add(each);
      waiting.push(...freed);
    }
    return { tags, manifests, released };
  }

  /** Whether something holds a manifest once something has gone: looked for upward, so that a circle holds nothing. */
  #isHeld(manifest: WorldManifest, without: Going): boolean {
    if (this.#history.isPinned) return true;
    const seen = new Set<WorldManifest>();
    const waiting = [manifest];
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      if (!next.isThere || seen.has(next) || without.manifests.has(next)) continue;
      seen.add(next);
      if (next.past.isPinned || (next.isWaiting && !without.released.has(next))) return true;
      for (const tag of next.tags) if (!without.tags.has(tag)) return true;
      waiting.push(...next.parents);
      if (next.subject !== undefined) waiting.push(next.subject);
    }
    return false;
  }

  #touch(manifest: WorldManifest): void {
    this.#observer?.touched(manifest);
    for (const tag of manifest.tags) this.#observer?.touched(tag);
  }

  /** What is judged by a manifest: itself, what lists it, what it is about, and so on. */
  #touchAbove(manifest: WorldManifest): void {
    if (this.#observer === undefined) return;
    if (isAlone(manifest)) return this.#touch(manifest);
    const above = reached([manifest], ({ parents, subject, tags }) => [
      ...parents.filter(isThere),
      ...(subject?.isThere === true ? [subject] : []),
      ...[...tags].flatMap(({ about }) => about ?? []),
    ]);
    for (const each of above) this.#touch(each);
  }
}

function isThere({ isThere: isHere }: WorldManifest): boolean {
  return isHere;
}

/** Whether nothing is judged by it but itself, and its tags. */
function isAlone({ parents, subject, tags }: WorldManifest): boolean {
  if (parents.length > 0 || subject !== undefined) return false;
  for (const { about } of tags) if (about !== undefined) return false;
  return true;
}

function sizeOf(contents: readonly Content[]): number {
  return contents.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}

function isSigned({ referrers, tagsAbout }: WorldManifest): boolean {
  if (referrers.some(({ isThere: isHere, past }) => isHere && isSignatureType(past.artifactType))) return true;
  for (const { name } of tagsAbout) if (name.endsWith('.sig')) return true;
  return false;
}

/** The last pull of a manifest, or of something that it lists. */
function lastPull(manifest: WorldManifest): number | null {
  if (manifest.children.length === 0) return manifest.pulledAt;
  let latest: number | null = null;
  for (const { pulledAt } of reached([manifest], ({ children }) => children.filter(isThere))) {
    if (pulledAt !== null) latest = Math.max(pulledAt, latest ?? pulledAt);
  }
  return latest;
}

function reached(
  from: readonly WorldManifest[],
  next: (manifest: WorldManifest) => readonly WorldManifest[],
): ReadonlySet<WorldManifest> {
  const found = new Set(from);
  for (const one of found) for (const each of next(one)) found.add(each);
  return found;
}
