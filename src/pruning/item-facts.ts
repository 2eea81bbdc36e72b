import type { Digest } from '../oci/digest.ts';
import { isSignatureType } from '../oci/signature-types.ts';
import { ociEmptyJson } from '../oci/media-types.ts';
import type { TagName } from '../oci/names.ts';
import type { Content, RepositoryFacts, TagFacts, UntaggedFacts } from '../retention/facts.ts';
import type { Description } from './descriptions.ts';
import type { ManifestNode, RepositoryGraph, TagNode } from './repository-graph.ts';

const unread: Description = { labels: {}, annotations: {} };

/** What facts are made of, beside the rows. */
export interface FactsContext {
  /** Labels and annotations, where they were read; what is not there has none. */
  readonly descriptions: ReadonlyMap<ManifestNode, Description>;
  /** The time that it is judged by, in ms since 1970. */
  readonly now: number;
  readonly leaseMs: number;
}

/** A tag, or a manifest under none, with the rows that it was made of. */
export interface ItemNodes {
  readonly tagOf: ReadonlyMap<TagFacts | UntaggedFacts, TagNode>;
  readonly manifestOf: ReadonlyMap<TagFacts | UntaggedFacts, ManifestNode>;
}

/**
 * What retention decides by about a repository, and which rows each of its items stands for. What has lost its last tag,
 * index or subject is none of them: it goes anyway, when its time in the trash is over.
 */
export function repositoryFacts(
  graph: RepositoryGraph,
  context: FactsContext,
): { readonly facts: RepositoryFacts; readonly nodes: ItemNodes } {
  const maker = new FactsMaker(graph, context);
  const tagOf = new Map<TagFacts | UntaggedFacts, TagNode>();
  const manifestOf = new Map<TagFacts | UntaggedFacts, ManifestNode>();
  const tags: TagFacts[] = [];
  for (const tag of graph.tags) {
    const facts = new TagNodeFacts(maker, tag);
    tags.push(facts);
    tagOf.set(facts, tag);
    manifestOf.set(facts, tag.manifest);
  }
  const untagged: UntaggedFacts[] = [];
  for (const manifest of graph.manifests.values()) {
    if (!manifest.isVisible || manifest.tags.length > 0 || isOnItsWay(manifest)) continue;
    const facts = new UntaggedNodeFacts(maker, manifest);
    untagged.push(facts);
    manifestOf.set(facts, manifest);
  }
  return { facts: { tags, untagged }, nodes: { tagOf, manifestOf } };
}

/** Whether it has lost what held it, and stays for the time of the trash and its lease only. */
function isOnItsWay(manifest: ManifestNode): boolean {
  const { isPinned, taggedAt, releasedAt } = manifest;
  return !isPinned && followed(manifest) === null && (taggedAt !== null || releasedAt !== null);
}

/** What the items of a repository are made of together. */
class FactsMaker {
  readonly graph: RepositoryGraph;
  readonly context: FactsContext;
  /** By manifest, since many tags may lead to one. Worked out for those that are asked for: few rules need them. */
  readonly #contents = new Map<ManifestNode, readonly Content[]>();

  constructor(graph: RepositoryGraph, context: FactsContext) {
    this.graph = graph;
    this.context = context;
  }

  contentsOf(manifest: ManifestNode): readonly Content[] {
    if (!this.graph.hasBlobs) throw new Error('the contents of a repository are asked for before they are read');
    const isAlone = manifest.children.length + manifest.referrers.length + manifest.tagsAbout.length === 0;
    if (isAlone) return manifest.blobs;
    const known = this.#contents.get(manifest);
    if (known !== undefined) return known;
    const contents = [...new Set([...this.graph.below(manifest)].flatMap(({ blobs }) => blobs))];
    this.#contents.set(manifest, contents);
    return contents;
  }
}

/** A class, because there are as many as tags: making these by hand takes several times as long, and more memory. */
abstract class NodeFacts {
  readonly digest: Digest;
  readonly mediaType: string;
  readonly artifactType: string | null;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly isSigned: boolean;
  readonly #maker: FactsMaker;
  readonly #manifest: ManifestNode;

  constructor(maker: FactsMaker, manifest: ManifestNode) {
    const { labels, annotations } = maker.context.descriptions.get(manifest) ?? unread;
    this.digest = manifest.digest;
    this.mediaType = manifest.mediaType;
    this.artifactType = manifest.artifactType === ociEmptyJson ? null : manifest.artifactType;
    this.labels = labels;
    this.annotations = annotations;
    this.isSigned = isSigned(manifest);
    this.#maker = maker;
    this.#manifest = manifest;
  }

  get contents(): readonly Content[] {
    return this.#maker.contentsOf(this.#manifest);
  }

  get sizeBytes(): number {
    return sizeOf(this.contents);
  }
}

class TagNodeFacts extends NodeFacts implements TagFacts {
  readonly kind = 'tag';
  readonly name: TagName;
  readonly pushedAt: number;
  readonly taggedAt: number;
  readonly pulledAt: number | null;
  readonly isPinned: boolean;
  readonly immutableBy: string | undefined;
  /** What a tag leads to may be a child or a referrer: the tag itself is still one that somebody has given. */
  readonly follows: 'subject' | null;

  constructor(maker: FactsMaker, tag: TagNode) {
    const { manifest } = tag;
    super(maker, manifest);
    this.name = tag.name;
    this.pushedAt = Math.max(tag.pushedAt, tag.touchedAt);
    this.taggedAt = tag.movedAt;
    this.pulledAt = later(tag.lastPulledAt, pulledAt(manifest));
    this.isPinned = tag.isPinned || manifest.isPinned || maker.graph.isPinned;
    this.immutableBy = tag.immutableBy;
    this.follows = tag.about === undefined ? null : 'subject';
  }
}

class UntaggedNodeFacts extends NodeFacts implements UntaggedFacts {
  readonly kind = 'untagged';
  readonly pushedAt: number;
  readonly taggedAt: number | null;
  readonly untaggedAt: number | null;
  readonly pulledAt: number | null;
  readonly isPinned: boolean;
  readonly immutableBy: string | undefined;
  readonly follows: 'index' | 'subject' | null;

  constructor(maker: FactsMaker, manifest: ManifestNode) {
    super(maker, manifest);
    this.pushedAt = pushedAt(manifest, maker.context);
    this.taggedAt = manifest.taggedAt;
    this.untaggedAt = manifest.releasedAt;
    this.pulledAt = pulledAt(manifest);
    this.isPinned = manifest.isPinned || maker.graph.isPinned;
    this.immutableBy = maker.graph.immutableBy;
    this.follows = followed(manifest);
  }
}

/** A HEAD by a client that may push renews the lease, and counts as a push. So far back as that is known by it. */
function pushedAt({ pushedAt: at, leaseUntil }: ManifestNode, { now, leaseMs }: FactsContext): number {
  return Math.max(at, Math.min(now, leaseUntil - leaseMs));
}

function sizeOf(contents: readonly Content[]): number {
  return contents.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}

function isSigned({ referrers, tagsAbout }: ManifestNode): boolean {
  return (
    referrers.some(({ artifactType }) => isSignatureType(artifactType)) ||
    tagsAbout.some(({ name }) => name.endsWith('.sig'))
  );
}

function followed({ parents, subject }: ManifestNode): 'index' | 'subject' | null {
  if (parents.length > 0) return 'index';
  return subject === undefined ? null : 'subject';
}

/** The last pull of a manifest, by its digest or any tag, or of something that it lists. */
function pulledAt(manifest: ManifestNode): number | null {
  if (manifest.children.length === 0) return manifest.lastPulledAt;
  let latest: number | null = null;
  const seen = new Set([manifest]);
  for (const each of seen) {
    latest = later(latest, each.lastPulledAt);
    for (const child of each.children) seen.add(child);
  }
  return latest;
}

function later(one: number | null, other: number | null): number | null {
  if (one === null || other === null) return one ?? other;
  return Math.max(one, other);
}
