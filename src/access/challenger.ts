import type { RepositoryName } from '../oci/names.ts';
import type { Action } from './action.ts';

/** What somebody would have to be allowed. */
export interface Need {
  readonly action: Action;
  /** Undefined for what is not about one repository. */
  readonly repo: RepositoryName | undefined;
}

/** What a client is to be told of how to prove who it is. */
export interface ChallengeRequest {
  /** `catalog` is the list of repositories; undefined where a client only asks whether it has to. */
  readonly need: Need | 'catalog' | undefined;
  /** What a mount needs beside, in the repository that it comes from. */
  readonly alsoNeeds?: Need;
  /** Scheme and host as the client sees them. */
  origin(): string;
  /** What was wrong with the token that it has shown (RFC 6750, 3.1). */
  readonly error: 'invalid_token' | 'insufficient_scope' | undefined;
}

/** Tells clients how to prove who they are. */
export interface Challenger {
  /** The value of the header `WWW-Authenticate` (RFC 9110, 11.6.1). One challenge: many clients read no second one. */
  challenge(request: ChallengeRequest): string;
}

/** A name and a password (RFC 7617). */
export const basicChallenger: Challenger = { challenge: () => 'Basic realm="wherry", charset="UTF-8"' };
