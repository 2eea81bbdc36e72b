import type { Identity } from './identity.ts';

/** What a request brings to prove who it is (RFC 7617, RFC 6750). */
export type Credentials =
  | { readonly scheme: 'basic'; readonly name: string; readonly secret: string }
  | { readonly scheme: 'bearer'; readonly token: string };

/**
 * What came of looking at credentials. `not-mine`: another authenticator may know them. `reason` is for the log and
 * the audit log, never for the client, which is to learn nothing from it.
 */
export type Authentication =
  | { readonly outcome: 'known'; readonly identity: Identity }
  | {
      readonly outcome: 'refused';
      readonly reason: string;
      /** Whom a token names, of which nothing is proven; for the logs too. */
      readonly who?: string | undefined;
    }
  /** Too many ask at once: it may be tried again in a moment. */
  | { readonly outcome: 'busy' }
  | { readonly outcome: 'not-mine' };

/** Knows some of those who may come: the users of a file, the robots, whoever an issuer vouches for. */
export interface Authenticator {
  /**
   * Who that is, where it was found out a moment ago. Whoever is known so is not kept waiting for what others have guessed
   * wrong.
   */
  recall?(credentials: Credentials): Promise<Identity | undefined>;

  authenticate(credentials: Credentials): Promise<Authentication>;
}
