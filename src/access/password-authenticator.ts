import { createHmac, randomBytes } from 'node:crypto';
import type { Authentication, Authenticator, Credentials } from './authenticator.ts';
import { costOf, type PasswordHashes } from './htpasswd.ts';
import type { Identity } from './identity.ts';
import type { RememberedLogins } from './remembered-logins.ts';
import { dummyHash, Verifications, type Verify, verifyBcrypt } from './verifications.ts';

/** Of bcrypt, where there is no user whose cost could be taken. */
const usualCost = 10;

export interface PasswordAuthenticatorParts {
  readonly passwords: { hashes(): Promise<PasswordHashes> };
  readonly remembered: RememberedLogins;
  /** Passwords that were found wrong a moment ago. */
  readonly refused: RememberedLogins<'refused'>;
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
  readonly #refused: RememberedLogins<'refused'>;
  readonly #verifications: Verifications;
  readonly #verify: Verify;
  readonly #dummyKey = randomBytes(32);
  /** Hashes of nobody, as many of each cost as those of users, and whose they stand for. */
  #dummies: { readonly of: PasswordHashes; readonly hashes: readonly string[] } | undefined;

  constructor({ passwords, remembered, refused, verifications, verify = verifyBcrypt }: PasswordAuthenticatorParts) {
    this.#passwords = passwords;
    this.#remembered = remembered;
    this.#refused = refused;
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
    const reason = known === undefined ? 'there is no such user' : 'the password is wrong';
    const key = this.#remembered.keyOf(name, secret, hash);
    const wrongKey = this.#refused.keyOf(name, secret, hash);
    // A client that tries the same again and again, as with a password of before, costs little.
    if (this.#refused.get(wrongKey) !== undefined) return { outcome: 'refused', reason };
    const isRight = await this.#verifications.run(async () => await this.#verify(secret, hash));
    if (isRight === undefined) return { outcome: 'busy' };
    if (known === undefined || !isRight) {
      this.#refused.add(wrongKey, 'refused');
      return { outcome: 'refused', reason };
    }
    const identity: Identity = { kind: 'user', name, groups: [], claims: {} };
    this.#remembered.add(key, identity);
    return { outcome: 'known', identity };
  }

  /** Costs as much as that of some user, and always the same for the same name, as it would be for a user. */
  #dummyFor(name: string, hashes: PasswordHashes): string {
    const dummies = this.#dummiesLike(hashes);
    const number = createHmac('sha256', this.#dummyKey).update(name).digest().readUInt32BE();
    return dummies[number % dummies.length] ?? dummyHash(usualCost);
  }

  /** Made once for each version of the password file, however many ask. */
  #dummiesLike(hashes: PasswordHashes): readonly string[] {
    if (this.#dummies?.of !== hashes) {
      const made = Array.from(hashes.values(), (hash) => dummyHash(costOf(hash)));
      this.#dummies = { of: hashes, hashes: made.length === 0 ? [dummyHash(usualCost)] : made };
    }
    return this.#dummies.hashes;
  }
}
