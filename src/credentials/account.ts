import type { Identity } from '../access/identity.ts';

/**
 * Whoever may come with a password or secret, as it stands now. What was issued for one names it, and is worth something
 * only as long as it is there and has the same credential.
 */
export interface Account {
  readonly identity: Identity;
  /** Stands for its password or secret, without giving it away: another one where that was changed. */
  readonly credential: string;
}

/** Knows the accounts of one kind by name. */
export interface Accounts {
  readonly kind: 'user' | 'robot';
  /** Undefined where there is none, or where it may not come any more. */
  find(name: string): Promise<Account | undefined>;
}

/** A short name of a password's or secret's hash, from which nothing of it can be told. */
export function credentialOf(hash: string): string {
  return new Bun.CryptoHasher('sha256').update(`credential ${hash}`).digest('base64url').slice(0, 22);
}
