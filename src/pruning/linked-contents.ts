import { setImmediate } from 'node:timers/promises';
import { all, first } from '../metadata/operation.ts';
import { linkAfterOthers, linkedBySeveral } from '../metadata/queries/retention.ts';
import type { MetadataStore } from '../metadata/store.ts';
import type { Digest } from '../oci/digest.ts';

/** How many links are looked at in a step, so that no request waits long. */
const linksPerStep = 500;
/** Comes after each digest, and after each that another is the beginning of. */
const afterAll = '~';

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
  const isFound = (digest: Digest): void => {
    const bit = bitOf(digest);
    inSeveral[bit >> 3] = (inSeveral[bit >> 3] ?? 0) | (1 << (bit & 7));
  };
  for (let from = ''; from < afterAll;) {
    const step = { from, others: linksPerStep };
    const end = (await metadata.read(() => first(linkAfterOthers, step)))?.digest;
    if (end === from) {
      // It has more links than a step looks at.
      isFound(end);
      from = `${end}${afterAll}`;
    } else {
      const range = { from, until: end ?? afterAll };
      for (const { digest } of await metadata.read(() => all(linkedBySeveral, range))) isFound(digest);
      from = range.until;
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
