import type { SparsePolicy, Windows } from '../../src/registry/registry.ts';
import type { Digest } from '../../src/oci/digest.ts';
import type { RepositoryName, TagName } from '../../src/oci/names.ts';
import { type KnownManifest, manifestOf, tagsAbout } from './universe.ts';

/** How long an upload that began inside a promise may keep it, in ms. */
const longestUploadMs = 7 * 24 * 3_600_000;
/** How long a session that ended well is remembered, in ms. */
const doneSessionMs = 3_600_000;

/** A manifest that is there, be it in the trash. */
interface ModelManifest {
  readonly known: KnownManifest;
  trashUntil: number | undefined;
  /** Until when a client that was told of it may build on it. */
  promisedUntil: number;
  wasTagged: boolean;
  wasReleased: boolean;
  usedAt: number;
  /** A pull that a killed process would forget. */
  pulledAt: number;
  /** What it refers to and holds: absent content it holds only when it comes. */
  readonly heldBlobs: Set<Digest>;
  readonly heldChildren: Set<Digest>;
}

interface ModelLink {
  promisedUntil: number;
  isHidden: boolean;
}

/** What a deleted or moved tag pointed at. */
interface TrashedTag {
  readonly manifest: Digest;
  readonly until: number;
}

export interface ModelUpload {
  readonly id: string;
  readonly repo: RepositoryName;
  readonly openedAt: number;
  touchedAt: number;
  bytes: readonly Uint8Array<ArrayBuffer>[];
  /** What it became. */
  done: Digest | undefined;
}

class ModelRepository {
  readonly manifests = new Map<Digest, ModelManifest>();
  readonly links = new Map<Digest, ModelLink>();
  readonly tags = new Map<TagName, Digest>();
  readonly trashedTags = new Map<string, TrashedTag>();
}

export type PutAnswer = 'created' | 'missing';
export type DeleteAnswer = 'deleted' | 'unknown' | 'referenced';

/**
 * What the registry promises, without its tables and its collector: what a client has been told, until when it may build
 * on that, and what a thing that is held holds in turn. It does not know when something goes that nothing holds; it is
 * told what has gone, and objects where that was held.
 */
export class Reference {
  readonly #windows: Windows;
  readonly #sparse: SparsePolicy;
  readonly #repositories = new Map<RepositoryName, ModelRepository>();
  readonly uploads = new Map<number, ModelUpload>();

  constructor(windows: Windows, sparse: SparsePolicy) {
    this.#windows = windows;
    this.#sparse = sparse;
  }

  /** The same again, to go on from in two ways. */
  copy(): Reference {
    const copy = new Reference(this.#windows, this.#sparse);
    for (const [name, from] of this.#repositories) {
      const to = copy.#in(name);
      for (const [digest, manifest] of from.manifests) {
        const { heldBlobs, heldChildren } = manifest;
        to.manifests.set(digest, {
          ...manifest,
          heldBlobs: new Set(heldBlobs),
          heldChildren: new Set(heldChildren),
        });
      }
      for (const [digest, link] of from.links) to.links.set(digest, { ...link });
      for (const [tag, digest] of from.tags) to.tags.set(tag, digest);
      for (const [key, trashed] of from.trashedTags) to.trashedTags.set(key, trashed);
    }
    for (const [slot, upload] of this.uploads) copy.uploads.set(slot, { ...upload });
    return copy;
  }

  #in(repo: RepositoryName): ModelRepository {
    const known = this.#repositories.get(repo);
    if (known !== undefined) return known;
    const made = new ModelRepository();
    this.#repositories.set(repo, made);
    return made;
  }

  // What clients see.

  sees(repo: RepositoryName, digest: Digest): boolean {
    const manifest = this.#in(repo).manifests.get(digest);
    return manifest !== undefined && manifest.trashUntil === undefined;
  }

  seesBlob(repo: RepositoryName, digest: Digest): boolean {
    return this.#in(repo).links.get(digest)?.isHidden === false;
  }

  target(repo: RepositoryName, tag: TagName): Digest | undefined {
    return this.#in(repo).tags.get(tag);
  }

  // What clients do.

  linkBlob(repo: RepositoryName, digest: Digest, now: number): void {
    const { links, manifests } = this.#in(repo);
    const promisedUntil = Math.max(links.get(digest)?.promisedUntil ?? 0, now + this.#windows.leaseMs);
    links.set(digest, { promisedUntil, isHidden: false });
    for (const { known, heldBlobs } of manifests.values()) {
      if (known.blobs.includes(digest) || known.foreignBlobs.includes(digest)) heldBlobs.add(digest);
    }
  }

  /** A HEAD that said yes promises half a lease at least. */
  promiseBlob(repo: RepositoryName, digest: Digest, now: number): void {
    const link = this.#in(repo).links.get(digest);
    if (link !== undefined) link.promisedUntil = Math.max(link.promisedUntil, now + this.#windows.leaseMs / 2);
  }

  promiseManifest(repo: RepositoryName, digest: Digest, now: number): void {
    const manifest = this.#in(repo).manifests.get(digest);
    if (manifest === undefined) return;
    manifest.promisedUntil = Math.max(manifest.promisedUntil, now + this.#windows.leaseMs / 2);
  }

  pulled(repo: RepositoryName, digest: Digest, now: number): void {
    const manifest = this.#in(repo).manifests.get(digest);
    if (manifest !== undefined) manifest.pulledAt = now;
  }

  /** The pulls until now are written, or forgotten. */
  pullsEnd(areWritten: boolean): void {
    for (const { manifests } of this.#repositories.values()) {
      for (const manifest of manifests.values()) {
        if (areWritten) manifest.usedAt = Math.max(manifest.usedAt, manifest.pulledAt);
        manifest.pulledAt = 0;
      }
    }
  }

  deleteBlob(repo: RepositoryName, digest: Digest): DeleteAnswer {
    if (!this.seesBlob(repo, digest)) return 'unknown';
    const { links, manifests } = this.#in(repo);
    for (const manifest of manifests.values()) {
      if (manifest.trashUntil === undefined && manifest.heldBlobs.has(digest)) return 'referenced';
    }
    links.set(digest, { promisedUntil: 0, isHidden: true });
    return 'deleted';
  }

  put(repo: RepositoryName, known: KnownManifest, tags: readonly TagName[], now: number): PutAnswer {
    const there = this.#in(repo);
    const lacksBlobs = known.blobs.some((digest) => !this.seesBlob(repo, digest));
    const lacksChildren = known.children.some((digest) => !this.sees(repo, digest));
    if ((lacksBlobs && !this.#sparse.images) || (lacksChildren && !this.#sparse.indexes)) return 'missing';
    const before = there.manifests.get(known.digest);
    const all = [...known.blobs, ...known.foreignBlobs];
    there.manifests.set(known.digest, {
      known,
      trashUntil: undefined,
      promisedUntil: Math.max(before?.promisedUntil ?? 0, now + this.#windows.leaseMs),
      wasTagged: (before?.wasTagged ?? false) || tags.length > 0,
      wasReleased: false,
      usedAt: now,
      pulledAt: before?.pulledAt ?? 0,
      heldBlobs: new Set(all.filter((digest) => this.seesBlob(repo, digest))),
      heldChildren: new Set(known.children.filter((digest) => this.sees(repo, digest))),
    });
    for (const { known: other, heldChildren } of there.manifests.values()) {
      if (other.children.includes(known.digest)) heldChildren.add(known.digest);
    }
    for (const tag of tags) {
      const target = there.tags.get(tag);
      there.tags.set(tag, known.digest);
      if (target !== undefined && target !== known.digest) this.#untag(repo, tag, target, now);
    }
    return 'created';
  }

  deleteManifest(repo: RepositoryName, digest: Digest, now: number): DeleteAnswer {
    const { manifests, tags, trashedTags } = this.#in(repo);
    const manifest = manifests.get(digest);
    if (manifest === undefined || manifest.trashUntil !== undefined) return 'unknown';
    for (const other of manifests.values()) {
      if (other.trashUntil === undefined && other.heldChildren.has(digest)) return 'referenced';
    }
    const until = now + this.#windows.trashMs;
    manifest.trashUntil = until;
    for (const [tag, target] of tags) {
      if (target !== digest) continue;
      tags.delete(tag);
      trashedTags.set(`${tag} ${digest}`, { manifest: digest, until });
    }
    return 'deleted';
  }

  deleteTag(repo: RepositoryName, tag: TagName, now: number): DeleteAnswer {
    const { tags } = this.#in(repo);
    const target = tags.get(tag);
    if (target === undefined) return 'unknown';
    tags.delete(tag);
    this.#untag(repo, tag, target, now);
    return 'deleted';
  }

  #untag(repo: RepositoryName, tag: TagName, target: Digest, now: number): void {
    const until = now + this.#windows.trashMs;
    this.#in(repo).trashedTags.set(`${tag} ${target}`, { manifest: target, until });
    this.#release(repo, target, now);
  }

  /** Something that held a manifest is gone: it stays for a lease, and not as one that waits for its first tag. */
  #release(repo: RepositoryName, digest: Digest, now: number): void {
    const manifest = this.#in(repo).manifests.get(digest);
    if (manifest === undefined) return;
    manifest.wasReleased = true;
    manifest.promisedUntil = Math.max(manifest.promisedUntil, now + this.#windows.leaseMs);
  }

  /** Whether a session may be gone by now. */
  mayBeForgotten(upload: ModelUpload, now: number): boolean {
    return now >= upload.touchedAt + (upload.done === undefined ? this.#windows.uploadMs : doneSessionMs);
  }

  // What is held.

  #isPromised(repo: RepositoryName, until: number, now: number): boolean {
    if (until > now) return true;
    if (now >= until + longestUploadMs) return false;
    for (const upload of this.uploads.values()) {
      if (upload.repo === repo && upload.done === undefined && upload.openedAt <= until) return true;
    }
    return false;
  }

  #holdsItself(repo: RepositoryName, manifest: ModelManifest, now: number): boolean {
    const { tags, trashedTags } = this.#in(repo);
    const { digest } = manifest.known;
    for (const target of tags.values()) if (target === digest) return true;
    for (const trashed of trashedTags.values()) if (trashed.manifest === digest && trashed.until > now) return true;
    if (manifest.trashUntil !== undefined) return manifest.trashUntil > now;
    const isWaiting = !manifest.wasTagged && !manifest.wasReleased;
    const usedAt = Math.max(manifest.usedAt, manifest.pulledAt);
    if (isWaiting && usedAt + this.#windows.neverTaggedMs > now) return true;
    return this.#isPromised(repo, manifest.promisedUntil, now);
  }

  /** What is held, from what holds itself downward: what an index lists, and what a thing that is held is the subject of. */
  heldManifests(repo: RepositoryName, now: number): ReadonlySet<Digest> {
    const { manifests } = this.#in(repo);
    const held = new Set<Digest>();
    const waiting = [...manifests.values()].filter((manifest) => this.#holdsItself(repo, manifest, now));
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      const { digest } = next.known;
      if (held.has(digest)) continue;
      held.add(digest);
      for (const other of manifests.values()) {
        const refersToIt = other.trashUntil === undefined && other.known.subject === digest;
        if (refersToIt || next.heldChildren.has(other.known.digest)) waiting.push(other);
      }
    }
    return held;
  }

  isBlobHeld(repo: RepositoryName, digest: Digest, now: number): boolean {
    const { links, manifests } = this.#in(repo);
    const link = links.get(digest);
    if (link === undefined) return false;
    if (!link.isHidden && this.#isPromised(repo, link.promisedUntil, now)) return true;
    for (const manifest of manifests.values()) if (manifest.heldBlobs.has(digest)) return true;
    return false;
  }

  /** What holds a manifest, were it held itself: what lists it, and its subject. */
  holdersOf(repo: RepositoryName, digest: Digest): readonly Digest[] {
    const { manifests } = this.#in(repo);
    const manifest = manifests.get(digest);
    const listing = [...manifests.values()].filter((other) => other.heldChildren.has(digest));
    const subject = manifest?.trashUntil === undefined ? manifest?.known.subject : undefined;
    const subjects = subject !== undefined && manifests.has(subject) ? [subject] : [];
    return [...listing.map(({ known }) => known.digest), ...subjects];
  }

  // What has gone.

  present(repo: RepositoryName): {
    readonly manifests: ReadonlyMap<Digest, 'live' | 'trashed'>;
    readonly links: ReadonlyMap<Digest, boolean>;
    readonly tags: ReadonlyMap<TagName, Digest>;
  } {
    const { manifests, links, tags } = this.#in(repo);
    return {
      manifests: new Map(
        [...manifests].map(([digest, { trashUntil }]) => [digest, trashUntil === undefined ? 'live' : 'trashed']),
      ),
      links: new Map([...links].map(([digest, { isHidden }]) => [digest, isHidden])),
      tags,
    };
  }

  /**
   * Takes note that manifests have gone, in an order in which they may: each one when nothing holds it and no index lists
   * it any more.
   * @returns those of them that were held
   */
  manifestsWent(repo: RepositoryName, gone: ReadonlySet<Digest>, now: number): readonly Digest[] {
    const left = new Set(gone);
    for (;;) {
      const held = this.heldManifests(repo, now);
      const may = [...left].filter((digest) => !held.has(digest) && !this.#isListed(repo, digest));
      // What goes gives a lease to what it held, which may come to hold others in turn: those that have gone went first.
      const isSubject = (digest: Digest) => [...left].some((each) => manifestOf(each).subject === digest);
      const last = may.filter((digest) => !isSubject(digest));
      const next = last.find((digest) => manifestOf(digest).subject !== undefined) ?? last[0] ?? may[0];
      if (next === undefined) return [...left];
      left.delete(next);
      this.#remove(repo, next, now);
    }
  }

  linkWent(repo: RepositoryName, digest: Digest): void {
    this.#in(repo).links.delete(digest);
  }

  #isListed(repo: RepositoryName, digest: Digest): boolean {
    return [...this.#in(repo).manifests.values()].some((manifest) => manifest.heldChildren.has(digest));
  }

  #remove(repo: RepositoryName, digest: Digest, now: number): void {
    const { manifests, tags, trashedTags } = this.#in(repo);
    const removed = manifests.get(digest);
    manifests.delete(digest);
    for (const [key, trashed] of trashedTags) if (trashed.manifest === digest) trashedTags.delete(key);
    for (const child of removed?.heldChildren ?? []) this.#release(repo, child, now);
    for (const { known } of manifests.values()) if (known.subject === digest) this.#release(repo, known.digest, now);
    for (const tag of tagsAbout(digest)) {
      const target = tags.get(tag);
      tags.delete(tag);
      if (target !== undefined) this.#release(repo, target, now);
    }
  }
}

/** Where a manifest is only known by its digest. */
export function nameOf(digest: Digest): string {
  return manifestOf(digest).name;
}
