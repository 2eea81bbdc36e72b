import { Database } from 'bun:sqlite';
import { join } from 'node:path';
import { adopt } from './adoption.ts';
import type { Repair, ReviewKey } from './finding.ts';
import { CannotCheckError } from './records.ts';
import { BytesGoneError, type StoredBytes, UnreadableError } from './stored-bytes.ts';

interface Times {
  /** In ms since 1970. */
  readonly now: number;
  /** How long what is adopted stays without a push of it, in ms. */
  readonly keepAdoptedMs: number;
}

/**
 * Takes leaks away. Bytes without a row can be removed at any time, since no object will ever have their name; rows are
 * changed only while no server runs, which whoever makes this has seen to by holding the directory's lock. A server that
 * runs changes its rows itself (online-repairs.ts).
 */
export class Repairs implements Disposable {
  readonly #database: Database | undefined;
  readonly #bytes: StoredBytes;
  readonly #now: number;
  readonly #keepAdoptedMs: number;

  private constructor(database: Database | undefined, bytes: StoredBytes, { now, keepAdoptedMs }: Times) {
    this.#database = database;
    this.#bytes = bytes;
    this.#now = now;
    this.#keepAdoptedMs = keepAdoptedMs;
  }

  static withoutServer(dataDirectory: string, bytes: StoredBytes, times: Times): Repairs {
    const database = new Database(join(dataDirectory, 'wherry.db'), { readwrite: true });
    database.run('pragma synchronous = full');
    database.run('pragma foreign_keys = on');
    return new Repairs(database, bytes, times);
  }

  static besideServer(bytes: StoredBytes, now: number): Repairs {
    return new Repairs(undefined, bytes, { now, keepAdoptedMs: 0 });
  }

  /** @returns false where it has to wait until no server runs */
  async make(repair: Repair): Promise<boolean> {
    switch (repair.kind) {
      case 'remove-stray':
        return await isDone(this.#bytes.remove(repair.place));
      case 'abort-upload':
        return await isDone(this.#bytes.abort(repair));
      case 'adopt-bytes': {
        if (this.#database === undefined) return false;
        const [bytes, now] = [this.#bytes, this.#now];
        if (!(await isDone(bytes.sync(repair.oid)))) return false;
        await adopt(this.#database, repair, { bytes, now, keptUntil: now + this.#keepAdoptedMs });
        return true;
      }
      case 'review':
        if (this.#database === undefined) return false;
        enqueue(this.#database, repair.task, this.#now);
        return true;
      case 'drop-object':
        if (this.#database === undefined) return false;
        dropObject(this.#database, repair.oid, this.#now);
        return true;
      case 'settle-generation':
        if (this.#database === undefined) return false;
        this.#database.run('update store set generation = max(generation, ?)', [repair.generation]);
        return true;
      case 'recount-quota':
        if (this.#database === undefined) return false;
        recountQuota(this.#database, repair.quota);
        return true;
      case 'recount-stored':
        if (this.#database === undefined) return false;
        recountStored(this.#database);
        return true;
    }
  }

  [Symbol.dispose](): void {
    this.#database?.close();
  }
}

/** Not where a bucket refuses it, as one that locks objects does, nor where a disk fails. */
async function isDone(repair: Promise<void>): Promise<boolean> {
  try {
    await repair;
    return true;
  } catch (error) {
    if (isExpected(error)) return false;
    throw error;
  }
}

/** Whether a repair can be tried again when something beside the registry has been mended. */
export function isExpected(error: unknown): boolean {
  return error instanceof CannotCheckError || error instanceof UnreadableError || error instanceof BytesGoneError;
}

function enqueue(database: Database, { kind, key1, key2 }: ReviewKey, dueAt: number): void {
  database.run(
    `insert into task (kind, key1, key2, due_at) values (?, ?, ?, ?)
     on conflict (kind, key1, key2) do update set due_at = min(task.due_at, excluded.due_at), version = task.version + 1`,
    [kind, key1, key2, dueAt],
  );
}

/** The next start of a server counts it: until then, and while it does, nothing is refused. */
function recountQuota(database: Database, quota: number): void {
  database.transaction(() => {
    const old = database
      .query<{ position: number | null; repositories_hash: string; settings: string }, [number]>(
        'select position, repositories_hash, settings from quota where number = ?',
      )
      .get(quota);
    if (old === null || old.position === null) return;
    database.run(`update quota set position = null, phase = 'stale' where number = ?`, [quota]);
    database.run(`insert into quota (position, repositories_hash, settings, phase) values (?, ?, ?, 'links')`, [
      old.position,
      old.repositories_hash,
      old.settings,
    ]);
  })();
}

function dropObject(database: Database, oid: string, dueAt: number): void {
  database.transaction(() => {
    const dropped = database.run(
      `update object set state = 'dead' where oid = ? and state = 'pending'
       and not exists (select 1 from upload where upload.oid = object.oid)`,
      [oid],
    );
    if (dropped.changes > 0) enqueue(database, { kind: 'object', key1: oid, key2: '' }, dueAt);
  })();
}

function recountStored(database: Database): void {
  database.transaction(() => {
    database.run(
      `update stored set
         objects = (select count(*) from object where object.state = stored.state),
         bytes = (select coalesce(sum(size_bytes), 0) from object where object.state = stored.state)`,
    );
    database.run(
      `update stored set bytes = bytes + (select coalesce(sum(offset_bytes), 0) from upload where oid is not null)
       where state = 'pending'`,
    );
  })();
}
