import type { RepositoryName } from '../oci/names.ts';
import type { Glob } from '../retention/glob.ts';
import { Networks } from './networks.ts';

/** Which pulls of blobs are sent to where the bytes lie, if the blob store can be reached by others. */
export class Redirects {
  readonly #repositories: readonly Glob[];
  /** Undefined: wherever a client is. */
  readonly #networks: Networks | undefined;

  /**
   * @param repositories globs of those whose pulls are
   * @param networks those of the clients that are; any client where it is undefined
   */
  constructor(repositories: readonly Glob[], networks: readonly string[] | undefined) {
    this.#repositories = repositories;
    this.#networks = networks === undefined ? undefined : new Networks(networks);
  }

  /** Whether a client's pull from a repository is. The address is asked for only where it matters. */
  include(repo: RepositoryName, address: () => string | undefined): boolean {
    if (!this.#repositories.some((glob) => glob.matches(repo))) return false;
    return this.#networks === undefined || this.#networks.contain(address());
  }
}

/** All bytes are sent by the registry. */
export const noRedirects = new Redirects([], undefined);
