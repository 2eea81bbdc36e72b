import { z } from 'zod';
import type { TestBucket } from '../s3-server.ts';
import type { Beside } from './beside.ts';
import type { Findings } from './findings.ts';

const objectRow = z.object({ oid: z.string(), state: z.string() });

/** What there was of each object at a time: the rows by oid, or the keys. */
interface Looks {
  readonly keysBefore: ReadonlySet<string>;
  readonly rowsBefore: ReadonlyMap<string, string>;
}

/**
 * Looks in turns at the keys in a bucket and at the rows of its objects. What two looks at the one have seen alike was so all
 * the time between them, since no oid is used twice: so a key that both have seen needs a row in between (I9), and an
 * object that was whole both times its key (I1).
 */
export class BucketLooks {
  /** Whose objects the test itself has taken away. */
  readonly damaged = new Set<string>();
  readonly #bucket: TestBucket;
  readonly #beside: Beside;
  readonly #findings: Findings;
  #looks: Looks | undefined;

  constructor(bucket: TestBucket, beside: Beside, findings: Findings) {
    this.#bucket = bucket;
    this.#beside = beside;
    this.#findings = findings;
  }

  async look(): Promise<void> {
    const keys = new Set(await this.#bucket.keys());
    const before = this.#looks;
    const found = await this.#beside.rows(objectRow, 'select oid, state from object');
    const rows = new Map(found.map(({ oid, state }) => [oid, state]));
    this.#looks = { keysBefore: keys, rowsBefore: rows };
    if (before === undefined) return;
    for (const key of keys) {
      const oid = oidOf(key);
      if (oid === undefined || !before.keysBefore.has(key)) continue;
      this.#findings.looked('I9');
      if (!before.rowsBefore.has(oid)) this.#findings.found({ invariant: 'I9', words: `${key} has no row` });
    }
    const whole = new Set([...keys].filter((key) => !key.includes('.')).map(oidOf));
    for (const [oid, state] of rows) {
      if (!isWhole(state) || !isWhole(before.rowsBefore.get(oid)) || this.damaged.has(oid)) continue;
      this.#findings.looked('I1');
      if (!whole.has(oid)) this.#findings.found({ invariant: 'I1', words: `the ${state} ${oid} has no key` });
    }
  }
}

function isWhole(state: string | undefined): boolean {
  return state === 'live' || state === 'condemned';
}

/** That a key belongs to, or a piece of it. */
function oidOf(key: string): string | undefined {
  return /^objects\/..\/([0-9a-f]+)/.exec(key)?.[1];
}
