import { type Account, type Accounts, credentialOf } from './account.ts';
import type { PasswordHashes } from '../access/htpasswd.ts';

/** The users of a password file, as accounts that tokens are issued to. */
export class UserAccounts implements Accounts {
  readonly kind = 'user';
  readonly #passwords: { hashes(): Promise<PasswordHashes> };

  constructor(passwords: { hashes(): Promise<PasswordHashes> }) {
    this.#passwords = passwords;
  }

  async find(name: string): Promise<Account | undefined> {
    const hash = (await this.#passwords.hashes()).get(name);
    if (hash === undefined) return undefined;
    return { identity: { kind: 'user', name, groups: [], claims: {} }, credential: credentialOf(hash) };
  }
}
