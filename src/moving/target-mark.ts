import { type MovedDatabase, numberOf } from './database.ts';
import type { Table } from './tables.ts';

/** So many events can be written down where a registry was until it is stopped there: refused logins, in a storm of them. */
const numbersBetween = 1_000_000;

/** All is there. */
export interface Arrival {
  /** In ms since 1970. */
  readonly now: number;
  /** Where the registry was. */
  readonly from: MovedDatabase;
  /** The table of events. */
  readonly events: Table;
}

/** What says in a database that it is being filled by a move, and that its registry must not be changed until that is over. */
export class TargetMark {
  readonly #database: MovedDatabase;
  readonly #token: string;

  /** @param token of the move: the same each time that it is tried */
  constructor(database: MovedDatabase, token: string) {
    this.#database = database;
    this.#token = token;
  }

  async isThere(): Promise<boolean> {
    const rows = await this.#database.all('select 1 as found from read_only where token = ?', [this.#token]);
    return rows.length > 0;
  }

  async set(now: number): Promise<void> {
    if (await this.isThere()) return;
    await this.#database.run(
      `insert into read_only (name, reason, set_by, set_at, token) values ('registry', ?, 'wherry migrate', ?, ?)`,
      ['a registry is being moved to here, and not all of it has come', now, this.#token],
    );
  }

  /**
   * Ends that. Where the registry was, events are still written down that are in no copy, such as refused logins: numbers go
   * on far above theirs, so that whoever has read those does not miss what happens here.
   */
  async remove({ now, from, events }: Arrival): Promise<void> {
    const before = await numberOf(from, 'select max(id) from event');
    await this.#database.transaction(async () => {
      if (!(await this.isThere())) return;
      await this.#database.run('delete from read_only where token = ?', [this.#token]);
      await this.#database.run(
        `insert into event (id, at, kind, actor, identity, reason)
         values (?, ?, 'readonly.off', 'wherry migrate', 'operator', 'the registry was moved to here')`,
        [Math.max(before, await numberOf(this.#database, 'select max(id) from event')) + numbersBetween, now],
      );
      await this.#database.goOnNumbering(events);
    });
  }
}
