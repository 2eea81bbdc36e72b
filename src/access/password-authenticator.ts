import { createHmac, randomBytes } from 'node:crypto';
import type { Authentication, Authenticator, Credentials } from './authenticator.ts';
import { costOf, type PasswordHashes } from './htpasswd.ts';
import type { Identity } from './identity.ts';
import type { RememberedLogins } from './remembered-logins.ts';
import { dummyHash, Verifications, type Verify, verifyBcrypt } from './verifications.ts';

export interface PasswordAuthenticatorParts {
  readonly passwords: { hashes(): Promise<PasswordHashes> };
  readonly remembered: RememberedLogins;
  readonly verifications?: Verifications;
  readonly verify?: Verify;
}

/**
 * Knows the users of a password file. It has an answer to every name and password, so it comes last of those who look at
 * them. Who is no user costs as much as a wrong password: how long an answer takes does not tell who is one.
 */
export class PasswordAuthenticator implements Authenticator {
  readonly #passwords: PasswordAuthenticatorParts['passwords'];
  readonly #remembered: RememberedLogins;
  readonly #verifications: Verifications;
  readonly #verify: Verify;
  readonly #dummyKey = randomBytes(32);

  constructor({ passwords, remembered, verifications, verify = verifyBcrypt }: PasswordAuthenticatorParts) {
    this.#passwords = passwords;
    this.#remembered = remembered;
    this.#verifications = verifications ?? new Verifications();
    this.#verify = verify;
  }

  async recall(credentials: Credentials): Promise<Identity | undefined> {
    if (credentials.scheme !== 'basic') return undefined;
    const { name, secret } = credentials;
    // Nothing is remembered of who is no user; that is found out in the same way.
    const hash = (await this.#passwords.hashes()).get(name) ?? '';
    return this.#remembered.get(this.#remembered.keyOf(name, secret, hash));
  }

  async authenticate(credentials: Credentials): Promise<Authentication> {
    if (credentials.scheme !== 'basic') return { outcome: 'not-mine' };
    const { name, secret } = credentials;
    const hashes = await this.#passwords.hashes();
    const known = hashes.get(name);
    const hash = known ?? this.#dummyFor(name, hashes);
    const isRight = await this.#verifications.run(async () => await this.#verify(secret, hash));
    if (isRight === undefined) return { outcome: 'busy' };
    if (known === undefined) return { outcome: 'refused', reason: 'there is no such user' };
    if (!isRight) return { outcome: 'refused', reason: 'the password is wrong' };
    const identity: Identity = { kind: 'user', name, groups: [], claims: {} };
    this.#remembered.add(this.#remembered.keyOf(name, secret, hash), identity);
    return { outcome: 'known', identity };
  }

  /** Costs as much as that of some user, and always the same for the same name, as it would be for a user. */
  #dummyFor(name: string, hashes: PasswordHashes): string {
    const all = [...hashes.values()];
    const number = createHmac('sha256', this.#dummyKey).update(name).digest().readUInt32BE();
    const hash = all[number % Math.max(all.length, 1)];
    return dummyHash(hash === undefined ? 10 : costOf(hash));
  }
}
