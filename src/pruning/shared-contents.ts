import { setImmediate } from 'node:timers/promises';
import { all, type Operation } from '../metadata/operation.ts';
import { linksElsewhere } from '../metadata/queries/retention.ts';
import type { MetadataStore } from '../metadata/store.ts';
import type { Digest } from '../oci/digest.ts';
import type { RepositoryName } from '../oci/names.ts';
import type { Content } from '../retention/facts.ts';
import { Standings, type HoldsItself } from '../usage/standing.ts';
import { anyLinked, type LinkedContents } from './linked-contents.ts';

/** Contents that one step looks at, so that no request waits long. */
const contentsPerStep = 1000;

/** Who has given up a content that several repositories have. */
interface GivenUp {
  readonly by: Set<RepositoryName>;
  isFreed: boolean;
}

/** Of contents that a repository itself would hold no more. */
export interface Looked {
  /** Those that something else holds all the same. */
  readonly taken: ReadonlySet<Content>;
  /** Those that other repositories link. */
  readonly shared: ReadonlySet<Content>;
}

/**
 * Contents that more than one repository has, through a plan that takes the repositories one after the other: each is
 * freed by the last that gives it up, and only if none holds it.
 */
export class SharedContents {
  readonly #metadata: MetadataStore;
  readonly #holdsItself: HoldsItself;
  readonly #linked: () => Promise<LinkedContents>;
  readonly #givenUp = new Map<Digest, GivenUp>();

  /**
   * @param holdsItself which manifests of other repositories stay though nothing holds them
   * @param linked tells, the first time that it is needed, which contents need not be looked for
   */
  constructor(
    metadata: MetadataStore,
    holdsItself: HoldsItself,
    linked: () => Promise<LinkedContents> = () => Promise.resolve(anyLinked),
  ) {
    this.#metadata = metadata;
    this.#holdsItself = holdsItself;
    let known: Promise<LinkedContents> | undefined;
    this.#linked = () => (known ??= linked());
  }

  /** Looks whether other repositories hold what a repository itself would hold no more. */
  async look(repo: RepositoryName, contents: ReadonlySet<Content>): Promise<Looked> {
    const taken = new Set<Content>();
    const shared = new Set<Content>();
    const standings = new Standings({}, this.#holdsItself);
    const linked = await this.#linked();
    for (const step of stepsOf([...contents].filter(({ digest }) => linked.mayBeInSeveral(digest)))) {
      const byDigest = new Map(step.map((content) => [content.digest, content]));
      const links = await this.#metadata.read(() => all(linksElsewhere, { repo, digests: [...byDigest.keys()] }));
      for (const [digest, others] of Map.groupBy(links, (link) => link.digest)) {
        const content = byDigest.get(digest);
        if (content === undefined) continue;
        shared.add(content);
        if (await this.#isTaken(digest, others, standings)) taken.add(content);
      }
      await setImmediate();
    }
    return { taken, shared };
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

function* stepsOf(contents: readonly Content[]): Generator<readonly Content[], void, undefined> {
  for (let start = 0; start < contents.length; start += contentsPerStep) {
    yield contents.slice(start, start + contentsPerStep);
  }
}
