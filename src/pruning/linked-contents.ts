import { setImmediate } from 'node:timers/promises';
import { all } from '../metadata/operation.ts';
import { linkedBySeveral } from '../metadata/queries/retention.ts';
import type { MetadataStore } from '../metadata/store.ts';
import type { Digest, DigestAlgorithm } from '../oci/digest.ts';

const algorithms: readonly DigestAlgorithm[] = ['sha256', 'sha512'];
/** By so many hexadecimal digits the links are divided into steps, so that no request waits long: 250 of a million. */
const digitsOfRange = 3;

/** Hexadecimal digits of a digest that are looked at: a bit for each number that they make takes 2 MiB. */
const digits = 6;

/** Knows of contents that they are in one repository only, so that nobody has to look for them in others. */
export interface LinkedContents {
  /** False where a content is in one repository only; true where it may be in several. */
  mayBeInSeveral(digest: Digest): boolean;
}

/** Knows nothing. */
export const anyLinked: LinkedContents = { mayBeInSeveral: () => true };

/**
 * Goes through the links of all repositories, in order of their digests. In 2 MiB, whatever their number: the more
 * contents are in several repositories, the more others are taken for such. What is linked meanwhile may be missing.
 */
export async function readLinkedContents(metadata: MetadataStore): Promise<LinkedContents> {
  const inSeveral = new Uint8Array(2 ** (4 * digits - 3));
  for (const [from, until] of ranges()) {
    for (const { digest } of await metadata.read(() => all(linkedBySeveral, { from, until }))) {
      const bit = bitOf(digest);
      inSeveral[bit >> 3] = (inSeveral[bit >> 3] ?? 0) | (1 << (bit & 7));
    }
    await setImmediate();
  }
  return {
    mayBeInSeveral(digest) {
      const bit = bitOf(digest);
      return ((inSeveral[bit >> 3] ?? 0) & (1 << (bit & 7))) !== 0;
    },
  };
}

/** Digests are spread evenly by their first digits, and each range begins where another ends. */
function* ranges(): Generator<readonly [string, string], void, undefined> {
  const last = 16 ** digitsOfRange - 1;
  for (const algorithm of algorithms) {
    for (let number = 0; number <= last; number += 1) {
      const from = number.toString(16).padStart(digitsOfRange, '0');
      // No digit is greater than the letter.
      const until = number === last ? 'g' : (number + 1).toString(16).padStart(digitsOfRange, '0');
      yield [`${algorithm}:${from}`, `${algorithm}:${until}`];
    }
  }
}

/** The number that the last digits make; they are as good as any. Read by hand, since there are millions. */
function bitOf(digest: Digest): number {
  let bit = 0;
  for (let at = digest.length - digits; at < digest.length; at += 1) {
    const code = digest.charCodeAt(at);
    bit = bit * 16 + (code <= nine ? code - nine + 9 : code - letterA + 10);
  }
  return bit;
}

const nine = '9'.charCodeAt(0);
const letterA = 'a'.charCodeAt(0);
