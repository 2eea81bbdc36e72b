import { setImmediate } from 'node:timers/promises';
import { all, type Operation } from '../metadata/operation.ts';
import {
  heldBlobsAfter,
  manifestClocksAfter,
  pinsOfRepository,
  presentChildrenAfter,
  tagClocksAfter,
} from '../metadata/queries/retention.ts';
import type { MetadataStore } from '../metadata/store.ts';
import type { Digest } from '../oci/digest.ts';
import type { RepositoryName, TagName } from '../oci/names.ts';
import type { Immutability } from '../registry/immutability.ts';
import { subjectOfTag } from '../oci/tags-about.ts';
import type { Content } from '../retention/facts.ts';

/** Rows that one step reads, so that no request waits long. */
const rowsPerStep = 5000;

/** A manifest of a repository, visible or in the trash. Times are in ms since 1970. */
export interface ManifestNode {
  readonly digest: Digest;
  readonly mediaType: string;
  readonly artifactType: string | null;
  readonly isVisible: boolean;
  readonly leaseUntil: number;
  readonly pushedAt: number;
  readonly taggedAt: number | null;
  readonly lastPulledAt: number | null;
  readonly releasedAt: number | null;
  readonly sizeBytes: number;
  readonly isPinned: boolean;
  /** What lists it, and is here. */
  parents: ManifestNode[];
  children: ManifestNode[];
  /** What it is about, if that is here. */
  subject: ManifestNode | undefined;
  /** What is about it, and visible. */
  referrers: ManifestNode[];
  tags: TagNode[];
  /** The tags of older clients that are about it. */
  tagsAbout: TagNode[];
  /** The blobs that it holds, as large as it says; none before they are read. */
  blobs: Content[];
}

export interface TagNode {
  readonly name: TagName;
  readonly manifest: ManifestNode;
  readonly movedAt: number;
  readonly pushedAt: number;
  readonly touchedAt: number;
  readonly lastPulledAt: number | null;
  readonly isPinned: boolean;
  /** The rule by which it can be neither overwritten nor deleted. */
  readonly immutableBy: string | undefined;
  /** The manifest that it is about, if that is here. */
  readonly about: ManifestNode | undefined;
}

/** What is taken for gone: tags, and manifests that were under none. */
export interface Removed {
  readonly tags: ReadonlySet<TagNode>;
  readonly manifests: ReadonlySet<ManifestNode>;
}

const nothing: Removed = { tags: new Set(), manifests: new Set() };

/** A repository's tags and manifests, and once they are read its blobs, and what holds what, in memory. */
export class RepositoryGraph {
  readonly repo: RepositoryName;
  readonly manifests: ReadonlyMap<Digest, ManifestNode>;
  readonly tags: readonly TagNode[];
  readonly isPinned: boolean;
  /** The rule by which nothing of it is deleted. */
  readonly immutableBy: string | undefined;
  readonly #tagsAbout: readonly TagNode[];
  #hasBlobs = false;

  private constructor(
    repo: RepositoryName,
    {
      manifests,
      tags,
      isPinned,
      immutableBy,
    }: Pick<RepositoryGraph, 'manifests' | 'tags' | 'isPinned' | 'immutableBy'>,
  ) {
    this.repo = repo;
    this.manifests = manifests;
    this.tags = tags;
    this.isPinned = isPinned;
    this.immutableBy = immutableBy;
    this.#tagsAbout = tags.filter(({ about }) => about !== undefined);
  }

  /** Reads a repository, in steps: what changes meanwhile may be there as it was or as it is. */
  static async read(
    metadata: MetadataStore,
    repo: RepositoryName,
    immutability: Immutability,
  ): Promise<RepositoryGraph> {
    const pins = await metadata.read(() => all(pinsOfRepository, { repo }));
    const pinnedTags = new Set<string>(pins.filter(({ kind }) => kind === 'tag').map(({ name }) => name));
    const pinnedManifests = new Set<string>(pins.filter(({ kind }) => kind === 'manifest').map(({ name }) => name));
    const isPinned = pins.some(({ kind }) => kind === 'repository');

    // Tags first: a manifest that is pushed meanwhile is then one without a tag and new, not one that has lost it.
    const tagRows = await pagesOf(metadata, (last: { name: string } | undefined) =>
      all(tagClocksAfter, { repo, after: last?.name ?? '', limit: rowsPerStep }),
    );
    const manifestRows = await pagesOf(metadata, (last: { digest: string } | undefined) =>
      all(manifestClocksAfter, { repo, after: last?.digest ?? '', limit: rowsPerStep }),
    );
    const manifests = new Map<Digest, ManifestNode>();
    for (const row of manifestRows) {
      manifests.set(row.digest, {
        digest: row.digest,
        mediaType: row.media_type,
        artifactType: row.artifact_type,
        isVisible: row.state === 'live',
        leaseUntil: row.lease_until,
        pushedAt: row.pushed_at,
        taggedAt: row.tagged_at,
        lastPulledAt: row.last_pulled_at,
        releasedAt: row.released_at,
        sizeBytes: row.size_bytes,
        isPinned: pinnedManifests.has(row.digest),
        parents: none,
        children: none,
        subject: undefined,
        referrers: none,
        tags: none,
        tagsAbout: none,
        blobs: none,
      });
    }
    for (const { digest, subject } of manifestRows) {
      const about = subject === null ? undefined : manifests.get(subject);
      const node = manifests.get(digest);
      if (about === undefined || node === undefined) continue;
      node.subject = about;
      if (node.isVisible) about.referrers = withOne(about.referrers, node);
    }
    const childRows = await pagesOf(metadata, (last: { parent: string; child: string } | undefined) =>
      all(presentChildrenAfter, { repo, parent: last?.parent ?? '', child: last?.child ?? '', limit: rowsPerStep }),
    );
    for (const row of childRows) {
      const [parent, child] = [manifests.get(row.parent), manifests.get(row.child)];
      if (parent === undefined || child === undefined) continue;
      parent.children = withOne(parent.children, child);
      child.parents = withOne(child.parents, parent);
    }

    const tags: TagNode[] = [];
    for (const row of tagRows) {
      const manifest = manifests.get(row.manifest);
      if (manifest === undefined) continue;
      const subject = subjectOfTag(row.name);
      const about = subject === undefined ? undefined : manifests.get(subject);
      const tag: TagNode = {
        name: row.name,
        manifest,
        movedAt: row.moved_at,
        pushedAt: row.pushed_at,
        touchedAt: row.touched_at,
        lastPulledAt: row.last_pulled_at,
        isPinned: pinnedTags.has(row.name),
        immutableBy: immutability.ofTag(repo, row.name),
        about,
      };
      tags.push(tag);
      manifest.tags = withOne(manifest.tags, tag);
      if (about !== undefined) about.tagsAbout = withOne(about.tagsAbout, tag);
    }
    const immutableBy = immutability.ofRepository(repo);
    return new RepositoryGraph(repo, { manifests, tags, isPinned, immutableBy });
  }

  /** Whether the blobs have been read. */
  get hasBlobs(): boolean {
    return this.#hasBlobs;
  }

  /** Reads what the manifests hold of blobs, once: they are most of the rows, and most repositories do without. */
  async readBlobs(metadata: MetadataStore): Promise<void> {
    if (this.#hasBlobs) return;
    await readBlobs(metadata, this.repo, this.manifests);
    this.#hasBlobs = true;
  }

  /** A manifest and all that it holds: its children, its referrers, and what older clients keep by a tag about it. */
  below(manifest: ManifestNode): ReadonlySet<ManifestNode> {
    return reached([manifest], ({ children, referrers, tagsAbout }) => [
      ...children,
      ...referrers,
      ...tagsAbout.map((tag) => tag.manifest),
    ]);
  }

  /**
   * The manifests that stay for good once something is gone and the windows of all that nothing holds are over, by the
   * rules of the collector: those below a tag, a pin, or what stays without either. A tag about a manifest goes with it,
   * unless it is pinned or immutable.
   *
   * @param staysByItself whether a manifest stays, though no tag, pin, index or subject holds it
   */
  held(staysByItself: (manifest: ManifestNode) => boolean, removed: Removed = nothing): ReadonlySet<ManifestNode> {
    if (this.isPinned) return new Set(this.manifests.values());
    const gone = new Set(removed.tags);
    for (;;) {
      const roots: ManifestNode[] = [];
      for (const tag of this.tags) if (!gone.has(tag)) roots.push(tag.manifest);
      for (const manifest of this.manifests.values()) {
        if (manifest.isPinned || (staysByItself(manifest) && !removed.manifests.has(manifest))) roots.push(manifest);
      }
      const held = reached(roots, ({ children, referrers }) =>
        referrers.length === 0 ? children : [...children, ...referrers],
      );
      const before = gone.size;
      for (const tag of this.#tagsAbout) {
        if (!tag.isPinned && tag.immutableBy === undefined && tag.about !== undefined && !held.has(tag.about))
          gone.add(tag);
      }
      if (gone.size === before) return held;
    }
  }
}

function reached(
  roots: readonly ManifestNode[],
  next: (manifest: ManifestNode) => readonly ManifestNode[],
): ReadonlySet<ManifestNode> {
  const found = new Set<ManifestNode>();
  const waiting = [...roots];
  for (let one = waiting.pop(); one !== undefined; one = waiting.pop()) {
    if (found.has(one)) continue;
    found.add(one);
    waiting.push(...next(one));
  }
  return found;
}

/** Of most manifests, most lists are empty: they share one. */
const none: never[] = [];

function withOne<One>(list: One[], one: One): One[] {
  if (list.length === 0) return [one];
  list.push(one);
  return list;
}

/** One object stands for a content wherever it occurs. */
async function readBlobs(
  metadata: MetadataStore,
  repo: RepositoryName,
  manifests: ReadonlyMap<Digest, ManifestNode>,
): Promise<void> {
  const contents = new Map<Digest, Content>();
  let manifest: ManifestNode | undefined;
  const rows = pages(metadata, (last: { manifest: string; digest: string } | undefined) =>
    all(heldBlobsAfter, { repo, manifest: last?.manifest ?? '', digest: last?.digest ?? '', limit: rowsPerStep }),
  );
  for await (const page of rows) {
    for (const row of page) {
      if (manifest?.digest !== row.manifest) {
        manifest = manifests.get(row.manifest);
        if (manifest !== undefined) manifest.blobs = [];
      }
      let content = contents.get(row.digest);
      if (content === undefined) {
        content = { digest: row.digest, sizeBytes: row.size_bytes };
        contents.set(row.digest, content);
      }
      manifest?.blobs.push(content);
    }
  }
}

async function pagesOf<Row extends Last, Last>(
  metadata: MetadataStore,
  after: (last: Last | undefined) => Operation<Row[]>,
): Promise<readonly Row[]> {
  const rows: Row[] = [];
  for await (const page of pages(metadata, after)) for (const row of page) rows.push(row);
  return rows;
}

/** Between two pages, others have their turn. */
async function* pages<Row extends Last, Last>(
  metadata: MetadataStore,
  after: (last: Last | undefined) => Operation<Row[]>,
): AsyncGenerator<readonly Row[], void, undefined> {
  for (let last: Row | undefined; ;) {
    const from = last;
    const page = await metadata.read(() => after(from));
    yield page;
    last = page.at(-1);
    if (page.length < rowsPerStep) return;
    await setImmediate();
  }
}
