/**
 * The keys of an issuer cannot be had just now: whether a token is genuine cannot be told, so that it lets nobody in, and
 * nobody is told that it is not.
 */
export class IssuerUnreachableError extends Error {
  override readonly name = 'IssuerUnreachableError';

  constructor(issuer: string, cause: unknown) {
    super(`the keys of the issuer ${issuer} cannot be had just now`, { cause });
  }
}
