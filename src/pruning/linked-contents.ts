import { setImmediate } from 'node:timers/promises';
import { all, first, type Operation } from '../metadata/operation.ts';
import { linkedBySeveral, linkedDigestAhead } from '../metadata/queries/retention.ts';
import type { MetadataStore } from '../metadata/store.ts';
import type { Digest } from '../oci/digest.ts';

/** Links that one step looks through, so that no request waits long. */
const linksPerStep = 20_000;

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
  for (let after = ''; ;) {
    const step = await metadata.read(() => stepAfter(after));
    for (const digest of step.bySeveral) {
      const bit = bitOf(digest);
      inSeveral[bit >> 3] = (inSeveral[bit >> 3] ?? 0) | (1 << (bit & 7));
    }
    if (step.last === undefined) break;
    after = step.last;
    await setImmediate();
  }
  return {
    mayBeInSeveral(digest) {
      const bit = bitOf(digest);
      return ((inSeveral[bit >> 3] ?? 0) & (1 << (bit & 7))) !== 0;
    },
  };
}

interface Step {
  /** What it has looked at last; undefined at the end. */
  readonly last: string | undefined;
  readonly bySeveral: readonly Digest[];
}

function* stepAfter(after: string): Operation<Step> {
  const last = (yield* first(linkedDigestAhead, { after, ahead: linksPerStep }))?.digest;
  // No digest is greater than this.
  const rows = yield* all(linkedBySeveral, { after, last: last ?? '~' });
  return { last, bySeveral: rows.map(({ digest }) => digest) };
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
