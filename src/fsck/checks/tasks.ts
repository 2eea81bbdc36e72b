import { type Check, type Checked, keysPerPage } from '../check.ts';
import type { Finding } from '../finding.ts';

/** How late a review may come, in ms. */
const overdueMs = 3_600_000;
/** After how many failures in a row a person should hear of it. */
const manyFailures = 5;

interface TaskRow {
  readonly kind: string;
  readonly key1: string;
  readonly key2: string;
  readonly due_at: number;
  readonly attempts: number;
}

/** F9: no review is late while a server runs, nor does one fail again and again. */
export function tasksCheck({ records, now, servedSince }: Checked): Check<TaskRow> {
  function* lookAt({ kind, key1, key2, due_at: dueAt, attempts }: TaskRow): Generator<Finding> {
    const about = `review of ${kind} ${key1}${key2 === '' ? '' : `@${key2}`}`;
    if (attempts >= manyFailures) {
      const message = `it has failed ${attempts} times in a row`;
      yield { code: 'F9', severity: 'leak', about, message, advice: "see what the server's log says of it" };
    } else if (servedSince !== undefined && Math.max(dueAt, servedSince) < now - overdueMs) {
      const minutes = Math.round((now - Math.max(dueAt, servedSince)) / 60_000);
      const message = `it has been due for ${minutes} min`;
      const advice = "see whether the collector is paused, and what the server's log says of it";
      yield { code: 'F9', severity: 'leak', about, message, advice };
    }
  }

  return {
    name: 'reviews',
    keysAfter: (after) =>
      records.all<TaskRow>(
        `select kind, key1, key2, due_at, attempts from task where (kind, key1, key2) > (?, ?, ?)
         order by kind, key1, key2 limit ?`,
        after?.kind ?? '',
        after?.key1 ?? '',
        after?.key2 ?? '',
        keysPerPage,
      ),
    look: async ({ kind, key1, key2 }) => {
      const [row] = await records.all<TaskRow>(
        'select kind, key1, key2, due_at, attempts from task where kind = ? and key1 = ? and key2 = ?',
        kind,
        key1,
        key2,
      );
      return row === undefined ? [] : [...lookAt(row)];
    },
  };
}
