import { z } from 'zod';
import type { BlobStore } from '../../../src/blobs/store.ts';
import { until } from '../../server/until.ts';
import type { TestBucket } from '../s3-server.ts';
import type { Beside } from './beside.ts';
import { contentTables } from './content-tables.ts';
import type { Findings } from './findings.ts';

const betweenMs = 150;
/** How many reviews are asked for at a time. */
const atOnce = 12;
/** How long it may take until all have been made once more, in ms. */
const workedOffMs = 120_000;

/** The keys of all tasks that there have been, whether what they are about is there or not. */
const allKeys = `select distinct after->>'kind' as kind, after->>'key1' as key1, after->>'key2' as key2
                 from noted.change where about = 'task' and after is not null`;

const insertion = `on conflict (kind, key1, key2) do update
                   set due_at = least(task.due_at, excluded.due_at), version = task.version + 1`;
const now = '(extract(epoch from clock_timestamp()) * 1000)::bigint';

const line = z.object({ line: z.string() });
const oidRow = z.object({ oid: z.string() });
const count = z.object({ count: z.coerce.number() });

/** Has the collectors review what they have reviewed already, and two of them at the same time what one has taken (I12). */
export class RepeatedReviews {
  readonly #beside: Beside;
  readonly #findings: Findings;

  constructor(beside: Beside, findings: Findings) {
    this.#beside = beside;
    this.#findings = findings;
  }

  /** While everything goes on: what comes of it breaks other invariants. */
  async goOnUntil(isOver: () => boolean): Promise<void> {
    while (!isOver()) {
      await this.#beside.change(
        `insert into task (kind, key1, key2, due_at)
           select kind, key1, key2, ${now} from (${allKeys}) as known order by random() limit ${atOnce} ${insertion}`,
      );
      await this.#beside.change(`update task set claimed_until = 0 where claimed_until > ${now} and random() < 0.3`);
      await Bun.sleep(betweenMs);
    }
  }

  /** When all is worked off: reviews of everything that there has ever been, and removals of whatever was removed, change nothing. */
  async repeatAll(blobs: BlobStore, bucket: TestBucket): Promise<void> {
    const before = await this.#visibleState(bucket);
    await this.#beside.change(
      `insert into task (kind, key1, key2, due_at) select kind, key1, key2, 0 from (${allKeys}) as known ${insertion}`,
    );
    const gone = await this.#beside.rows(
      oidRow,
      `select distinct after->>'oid' as oid from noted.change where about = 'object' and after->>'state' = 'dead'
         and not exists (select from object where oid = after->>'oid')`,
    );
    for (const { oid } of gone) await blobs.remove(oid);
    const due = `select count(*) from task where due_at <= ${now}`;
    const isWorkedOff = async (): Promise<boolean> => (await this.#beside.rows(count, due))[0]?.count === 0;
    await until('every review has been made once more', isWorkedOff, workedOffMs).catch(() => {
      this.#findings.found({ invariant: 'I12', words: 'reviews made once more come to no end' });
    });
    const after = await this.#visibleState(bucket);
    this.#findings.looked('I12', before.size + gone.length);
    for (const each of before) {
      if (!after.has(each)) this.#findings.found({ invariant: 'I12', words: `gone by a second review: ${each}` });
    }
    for (const each of after) {
      if (!before.has(each)) this.#findings.found({ invariant: 'I12', words: `come by a second review: ${each}` });
    }
  }

  async #visibleState(bucket: TestBucket): Promise<ReadonlySet<string>> {
    const keys = await bucket.keys();
    // What is to be the same after reviews that have nothing to do.
    const from = [...contentTables, `event where kind like '%.collected' or kind = 'upload.expired'`];
    const rows: string[] = [];
    for (const each of from) {
      const [table = each] = each.split(' ');
      const sql = `select '${table} ' || (to_jsonb(${table}) - 'bytes')::text as line from ${each}`;
      for (const found of await this.#beside.rows(line, sql)) rows.push(found.line);
    }
    return new Set([...keys, ...rows]);
  }
}
