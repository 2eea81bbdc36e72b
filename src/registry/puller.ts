import type { RepositoryName } from '../oci/names.ts';

/** Who pulls, as far as it is known. */
export interface Puller {
  readonly user: string | undefined;
  /** The robot account, where it is one. */
  readonly robot: string | undefined;
  readonly userAgent: string | undefined;
}

/** One of whom nothing is known. */
export const anyPuller: Puller = { user: undefined, robot: undefined, userAgent: undefined };

/** Which pulls move the times by which things are judged to be in use. Asked for each pull, so it must answer at once. */
export interface PullRules {
  /** Whether a pull counts in a repository. @param method whether the manifest is sent, or only asked for */
  counts(repo: RepositoryName, puller: Puller, method: 'GET' | 'HEAD'): boolean;
}

/** Where nobody says otherwise: whoever pulls, each pull counts, and asking does not. */
export const everyGet: PullRules = { counts: (_repo, _puller, method) => method === 'GET' };
