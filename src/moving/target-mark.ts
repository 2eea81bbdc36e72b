import type { MovedDatabase } from './database.ts';

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

  async remove(): Promise<void> {
    await this.#database.run('delete from read_only where token = ?', [this.#token]);
  }
}
