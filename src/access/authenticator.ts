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
  | { readonly outcome: 'refused'; readonly reason: string }
  | { readonly outcome: 'not-mine' };

/** Knows some of those who may come: the users of a file, the robots, whoever an issuer vouches for. */
export interface Authenticator {
  authenticate(credentials: Credentials): Promise<Authentication>;
}
