import type { Digest } from '../../../src/oci/digest.ts';
import type { RepositoryName, TagName } from '../../../src/oci/names.ts';
import type { SparsePolicy, Windows } from '../../../src/registry/registry.ts';
import type { Retirable } from '../../../src/registry/retire.ts';
import type { ModelPurge } from './purges.ts';
import { ModelRepository } from './repository.ts';
import type { ModelUpload } from './uploads.ts';

/**
 * What the registry promises, without its tables and its collector: what a client has been told, until when it may build
 * on that, and what a thing that is held holds in turn. It does not know when something goes that nothing holds; it is
 * told what has gone, and objects where that was held.
 */
export class Reference {
  readonly windows: Windows;
  readonly sparse: SparsePolicy;
  readonly repositories = new Map<RepositoryName, ModelRepository>();
  readonly uploads = new Map<number, ModelUpload>();
  /** What tags were seen to be, for their pruning. */
  readonly judgements = new Map<string, Retirable>();
  /** Those that keep something out. */
  purges: ModelPurge[] = [];
  /** Until when something may be held by what a client was not answered any more. */
  vagueUntil = 0;

  constructor(windows: Windows, sparse: SparsePolicy) {
    this.windows = windows;
    this.sparse = sparse;
  }

  /** The same again, to go on from in two ways. */
  copy(): Reference {
    const copy = new Reference(this.windows, this.sparse);
    for (const [name, repository] of this.repositories) copy.repositories.set(name, repository.copy());
    for (const [slot, upload] of this.uploads) copy.uploads.set(slot, { ...upload });
    for (const [key, judged] of this.judgements) copy.judgements.set(key, judged);
    copy.purges = this.purges.map(({ keptOut, quarantined }) => ({
      keptOut: new Set(keptOut),
      quarantined: new Set(quarantined),
    }));
    copy.vagueUntil = this.vagueUntil;
    return copy;
  }

  /** What there is in a repository. */
  in(repo: RepositoryName): ModelRepository {
    const known = this.repositories.get(repo);
    if (known !== undefined) return known;
    const made = new ModelRepository();
    this.repositories.set(repo, made);
    return made;
  }

  sees(repo: RepositoryName, digest: Digest): boolean {
    const manifest = this.in(repo).manifests.get(digest);
    return manifest !== undefined && manifest.trashUntil === undefined;
  }

  seesBlob(repo: RepositoryName, digest: Digest): boolean {
    return this.in(repo).links.get(digest)?.isHidden === false;
  }

  target(repo: RepositoryName, tag: TagName): Digest | undefined {
    return this.in(repo).tags.get(tag);
  }
}
