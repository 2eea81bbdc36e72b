import type { RepositoryName } from '../oci/names.ts';
import { quote } from '../oci/quote.ts';
import type { Action } from './action.ts';

/** Whoever asks for something, as far as it is proven. */
export interface Identity {
  /**
   * - `anonymous`: has proven nothing;
   * - `user`: a person of the password file, or whom an issuer knows;
   * - `robot`: an account made by `wherry robot`;
   * - `workload`: a job or pod, whom an issuer knows;
   * - `certificate`: has shown a client certificate;
   * - `operator`: knows the token of this run, and may do everything.
   */
  readonly kind: 'anonymous' | 'user' | 'robot' | 'workload' | 'certificate' | 'operator';
  /** Empty for whoever is anonymous. Names of different kinds do not mean the same. */
  readonly name: string;
  readonly groups: readonly string[];
  /** What an issuer says of it, a claim that is a list with each of its items. */
  readonly claims: Readonly<Record<string, readonly string[]>>;
  /** All that a token was issued for, of what the policy allows; undefined where it is not limited so. */
  readonly grants?: readonly Grant[];
  /** Whether such a token is for the list of repositories too, which shows what the policy lets it pull. */
  readonly seesCatalog?: boolean;
  /** Whoever vouches for it, by the name of the issuer in the configuration; undefined for those the registry knows. */
  readonly issuer?: string;
}

/** What issuers call somebody is cut off here where it is shown, in characters. */
const longestNameShown = 80;

/** Something that a token may be used for. */
export interface Grant {
  readonly repo: RepositoryName;
  readonly actions: readonly Action[];
}

export const anonymous: Identity = { kind: 'anonymous', name: '', groups: [], claims: {} };

export const operator: Identity = { kind: 'operator', name: 'operator', groups: [], claims: {} };

/** Who it is for the list of repositories: a token for that shows all that whoever has it may pull. */
export function forCatalog(identity: Identity): Identity {
  return identity.seesCatalog === true ? withoutGrants(identity) : identity;
}

/** Who has a token, as the rules know them: what it was issued for does not limit them. */
export function withoutGrants(identity: Identity): Identity {
  const { grants: _, ...unlimited } = identity;
  return unlimited;
}

/** Whether nothing at all was shown; who shows a token may be anonymous too. */
export function hasShownNothing(identity: Identity): boolean {
  return identity.kind === 'anonymous' && identity.grants === undefined;
}

/** `user:alice`, `robot:ci`, for programs; `anonymous` and `operator` have no name. */
export function identityKey({ kind, name }: Identity): string {
  return kind === 'anonymous' || kind === 'operator' ? kind : `${kind}:${name}`;
}

/** `user alice`, `robot ci`; what has blanks or the like in it stands in quotes. */
export function identityText({ kind, name }: Identity): string {
  if (kind === 'anonymous' || kind === 'operator') return kind;
  const shown = name.slice(0, longestNameShown);
  return `${kind} ${/^[\w.@:/+=-]+$/.test(shown) ? shown : quote(shown)}`;
}
