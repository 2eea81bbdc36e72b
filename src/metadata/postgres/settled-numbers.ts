import type { ClientBase } from 'pg';

interface Horizon {
  /** The last number that had been given. */
  readonly number: bigint;
  /** Every transaction that had one of them, or a smaller one, has a number of its own below this. */
  readonly transactionsBelow: bigint;
}

interface Transactions {
  readonly running_from: string;
  readonly next: string;
}

/**
 * Up to which number of a sequence all is decided: committed, or rolled back for good. A transaction that takes a number
 * has one itself by then (migration 20), so once all are over that there were after a number was given, all up to that
 * number is decided.
 */
export class SettledNumbers {
  readonly #sequence: string;
  /** Those that wait for transactions to end, the oldest first. */
  #waiting: Horizon[] = [];
  #settled = 0n;

  constructor(sequence: string) {
    this.#sequence = sequence;
  }

  async settled(client: ClientBase): Promise<number> {
    const given = await client.query<{ number: string }>(
      `select case when is_called then last_value else last_value - 1 end as number from ${this.#sequence}`,
    );
    // In a statement of its own: what is seen here began after the number above was given.
    const transactions = await client.query<Transactions>(
      'select pg_snapshot_xmin(seen) as running_from, pg_snapshot_xmax(seen) as next from pg_current_snapshot() as seen',
    );
    const [{ number } = { number: '0' }] = given.rows;
    const [{ running_from: runningFrom, next } = { running_from: '0', next: '0' }] = transactions.rows;
    this.#waiting.push({ number: BigInt(number), transactionsBelow: BigInt(next) });
    const isOver = ({ transactionsBelow }: Horizon): boolean => transactionsBelow <= BigInt(runningFrom);
    for (const { number: decided } of this.#waiting.filter(isOver)) {
      if (decided > this.#settled) this.#settled = decided;
    }
    this.#waiting = this.#waiting.filter((horizon) => !isOver(horizon)).slice(-mostWaiting);
    return Number(this.#settled);
  }
}

/** Horizons that are remembered while a transaction goes on for long: the newest of them tell the most. */
const mostWaiting = 100;
