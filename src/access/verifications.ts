/** Compares a password with a bcrypt hash, in a thread of its own. */
export type Verify = (secret: string, hash: string) => Promise<boolean>;

/** bcrypt knows no more of a password, in bytes. The runtime would hash a longer one first, which htpasswd does not. */
export const longestSecretBytes = 72;

export const verifyBcrypt: Verify = async (secret, hash) => {
  const bytes = Buffer.from(secret, 'utf8');
  // To bcrypt a zero ends a password, and an empty one is refused before it is looked at.
  if (bytes.byteLength === 0 || bytes.includes(0)) return false;
  return await Bun.password.verify(bytes.subarray(0, longestSecretBytes), hash, 'bcrypt');
};

/** A hash that nobody has the password of. */
export function dummyHash(cost: number): string {
  return `$2b$${String(cost).padStart(2, '0')}$rjQMDsivrSnzZ8lUOl4XjuSIyBk6X598juzGEODyE8dl7Y8rDp/qa`;
}

/** More waiting than this are turned away: each takes some 50 ms. */
const mostWaiting = 100;

/** Work that is done a few at a time, so that a flood of logins does not take every thread. */
export class Verifications {
  readonly #atOnce: number;
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  constructor(atOnce = 2) {
    this.#atOnce = atOnce;
  }

  /** @returns undefined where too many wait already: `work` is not begun */
  async run<T>(work: () => Promise<T>): Promise<T | undefined> {
    if (this.#running >= this.#atOnce) {
      if (this.#waiting.length >= mostWaiting) return undefined;
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#waiting.push(resolve);
      // Whoever ends hands its place on, so nobody comes in between.
      await promise;
    } else this.#running += 1;
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#running -= 1;
      else next();
    }
  }
}
