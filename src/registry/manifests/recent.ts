import type { MetadataStore } from '../../metadata/store.ts';
import type { Digest } from '../../oci/digest.ts';
import type { RepositoryName, TagName } from '../../oci/names.ts';
import type { Reference } from '../../oci/reference.ts';

/** Manifests remembered at most, and how large one may be, so that they take a few MiB of memory. */
const maxManifests = 512;
const maxBytes = 16 * 1024;

/** A manifest as a client has asked for it. */
export interface FoundManifest {
  readonly repo: RepositoryName;
  readonly digest: Digest;
  /** Undefined where it was asked for by its digest. */
  readonly tag: TagName | undefined;
  readonly mediaType: string;
  readonly bytes: Uint8Array;
}

/**
 * The manifests found since the last transaction, as many nodes pull one image at the same time. Not a cache that could
 * be stale (I10, R9): any transaction at all, of whatever it changes, empties it, so what it has is what a query would find.
 */
export class RecentManifests {
  readonly #metadata: Pick<MetadataStore, 'commits'>;
  readonly #found = new Map<RepositoryName, Map<string, FoundManifest>>();
  #count = 0;
  /** Of the store, when the first of them was found. */
  #commits: number | undefined;

  constructor(metadata: Pick<MetadataStore, 'commits'>) {
    this.#metadata = metadata;
  }

  get(repo: RepositoryName, reference: Reference): FoundManifest | undefined {
    const { commits } = this.#metadata;
    if (commits === undefined || commits !== this.#commits) return undefined;
    return this.#found.get(repo)?.get(keyOf(reference));
  }

  /** Remembers what a read has found that began when the store had made `commits`. */
  add(reference: Reference, manifest: FoundManifest, commits: number | undefined): void {
    if (commits === undefined || commits !== this.#metadata.commits || manifest.bytes.byteLength > maxBytes) return;
    if (commits !== this.#commits || this.#count >= maxManifests) {
      this.#found.clear();
      this.#count = 0;
      this.#commits = commits;
    }
    const ofRepository = this.#found.get(manifest.repo) ?? new Map<string, FoundManifest>();
    ofRepository.set(keyOf(reference), manifest);
    this.#found.set(manifest.repo, ofRepository);
    this.#count++;
  }
}

/** No tag can be written like a digest: it has no colon. */
function keyOf(reference: Reference): string {
  return reference.kind === 'tag' ? reference.tag : reference.digest;
}
