import type { Database } from 'bun:sqlite';
import type { StoredBytes } from './stored-bytes.ts';

/** Bytes that the database does not know, and what they are. */
export interface Adoptable {
  readonly oid: string;
  readonly digest: string;
  readonly sizeBytes: number;
  /** What they seem to be, in words. */
  readonly looks: string;
}

/** What the log of events says of it. */
export function adoptionReason(looks: string): string {
  return `a database that was restored did not know it; it looks like ${looks}`;
}

/**
 * Has a database in SQLite know an object whose bytes it did not, while no server runs: what registry/adopt.ts says of it
 * and does everywhere else.
 */
export async function adopt(
  database: Database,
  { oid, digest, sizeBytes, looks }: Adoptable,
  {
    bytes,
    now,
    keptUntil,
  }: { readonly bytes: Pick<StoredBytes, 'sizeOf'>; readonly now: number; readonly keptUntil: number },
): Promise<void> {
  const finds = (sql: string, value: string) => database.query(sql).get(value) !== null;
  const insert = (state: 'live' | 'dead') =>
    database.run('insert into object (oid, digest, size_bytes, state) values (?, ?, ?, ?)', [
      oid,
      digest,
      sizeBytes,
      state,
    ]);
  const review = (object: string, dueAt: number) =>
    database.run(
      `insert into task (kind, key1, key2, due_at) values ('object', ?, '', ?)
       on conflict (kind, key1, key2) do update set due_at = min(task.due_at, excluded.due_at), version = task.version + 1`,
      [object, dueAt],
    );
  // Nobody else changes anything, so it is still there below.
  const there = database
    .query<{ oid: string; size_bytes: number }, [string]>('select oid, size_bytes from object where live_digest = ?')
    .get(digest);
  const isWhole = there !== null && (await bytes.sizeOf(there.oid)) === there.size_bytes;
  database.transaction(() => {
    if (finds('select 1 from object where oid = ?', oid)) return;
    if (isWhole || finds('select 1 from blocked where digest = ?', digest)) {
      insert('dead');
      review(oid, now);
      return;
    }
    if (there !== null) {
      database.run(`update object set state = 'dead' where oid = ?`, [there.oid]);
      review(there.oid, now);
    }
    insert('live');
    review(oid, keptUntil);
    database.run(
      `insert into event (at, kind, digest, actor, reason, bytes, identity, result)
       values (?, 'blob.adopted', ?, 'fsck', ?, ?, 'system:fsck', 'done')`,
      [now, digest, adoptionReason(looks), sizeBytes],
    );
  })();
}
