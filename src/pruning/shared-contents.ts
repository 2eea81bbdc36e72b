import { setImmediate } from 'node:timers/promises';
import { all, type Operation } from '../metadata/operation.ts';
import { linksElsewhere, liveSizesAmong } from '../metadata/queries/retention.ts';
import type { MetadataStore } from '../metadata/store.ts';
import type { Digest } from '../oci/digest.ts';
import type { RepositoryName } from '../oci/names.ts';
import { Standings, type HoldsItself } from '../usage/standing.ts';

/** Contents that one step looks at, so that no request waits long. */
const contentsPerStep = 1000;

/** Who has given up a content that several repositories have. */
interface GivenUp {
  readonly by: Set<RepositoryName>;
  isFreed: boolean;
}

/** Of contents that a repository itself would hold no more, by digest. */
export interface Looked {
  /** Those that nothing else holds. */
  readonly free: ReadonlySet<Digest>;
  /** Those that other repositories link. */
  readonly shared: ReadonlySet<Digest>;
}

/**
 * Contents that more than one repository has, through a plan that takes the repositories one after the other: each is
 * freed by the last that gives it up, and only if none holds it.
 */
export class SharedContents {
  readonly #metadata: MetadataStore;
  readonly #holdsItself: HoldsItself;
  readonly #givenUp = new Map<Digest, GivenUp>();

  /** @param holdsItself which manifests of other repositories stay though nothing holds them */
  constructor(metadata: MetadataStore, holdsItself: HoldsItself) {
    this.#metadata = metadata;
    this.#holdsItself = holdsItself;
  }

  /** Looks whether other repositories hold what a repository itself would hold no more. */
  async look(repo: RepositoryName, digests: readonly Digest[]): Promise<Looked> {
    const free = new Set(digests);
    const shared = new Set<Digest>();
    const standings = new Standings({}, this.#holdsItself);
    for (const step of stepsOf(digests)) {
      const links = await this.#metadata.read(() => all(linksElsewhere, { repo, digests: step }));
      for (const [digest, others] of Map.groupBy(links, (link) => link.digest)) {
        shared.add(digest);
        if (await this.#isTaken(digest, others, standings)) free.delete(digest);
      }
      await setImmediate();
    }
    return { free, shared };
  }

  /** A repository gives a content up that others link. @param isFreed whether its bytes count as freed by that */
  giveUp(repo: RepositoryName, digest: Digest, isFreed: boolean): void {
    const given = this.#givenUp.get(digest) ?? { by: new Set(), isFreed: false };
    given.by.add(repo);
    given.isFreed ||= isFreed;
    this.#givenUp.set(digest, given);
  }

  /** Whether another repository holds it, or it has been counted already. */
  async #isTaken(
    digest: Digest,
    links: readonly { readonly repo: RepositoryName }[],
    standings: Standings,
  ): Promise<boolean> {
    const given = this.#givenUp.get(digest);
    if (given?.isFreed === true) return true;
    const others = links.map(({ repo }) => repo).filter((repo) => given?.by.has(repo) !== true);
    return await this.#metadata.read(function* isHeld(): Operation<boolean> {
      for (const repo of others) if (yield* standings.isLinkHeld(repo, digest)) return true;
      return false;
    });
  }
}

/** What the files of some contents hold, in bytes, by digest. */
export async function storedSizes(
  metadata: MetadataStore,
  digests: readonly Digest[],
): Promise<ReadonlyMap<Digest, number>> {
  const sizes = new Map<Digest, number>();
  for (const step of stepsOf(digests)) {
    for (const row of await metadata.read(() => all(liveSizesAmong, { digests: step }))) {
      if (row.digest !== null) sizes.set(row.digest, row.size_bytes);
    }
    await setImmediate();
  }
  return sizes;
}

function* stepsOf(digests: readonly Digest[]): Generator<readonly Digest[], void, undefined> {
  for (let start = 0; start < digests.length; start += contentsPerStep) {
    yield digests.slice(start, start + contentsPerStep);
  }
}
