import type { ClientBase } from 'pg';

interface Horizon {
  /** The last number that had been given. */
  readonly number: bigint;
  /** Every transaction that had one of them, or a smaller one, has a number of its own below this. */
  readonly transactionsBelow: bigint;
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

  /** @param client is in no transaction */
  async settled(client: ClientBase): Promise<number> {
    const number = await numberFrom(
      client,
      `select case when is_called then last_value else last_value - 1 end as number from ${this.#sequence}`,
    );
    if (number > (this.#waiting.at(-1)?.number ?? this.#settled)) {
      // The next transaction's number is told by none but a transaction that takes it: what a snapshot has is the one after
      // the last that is over, and some that go on may have greater ones. This one writes nothing, and so waits for no disk.
      const transactionsBelow = await numberFrom(client, 'select pg_current_xact_id() as number');
      this.#waiting = [...this.#waiting, { number, transactionsBelow }].slice(-mostWaiting);
    }
    if (this.#waiting.length > 0) {
      // Seen after the transactions above were over, so that all below them that go on are among those it looks at.
      const runningFrom = await numberFrom(client, 'select pg_snapshot_xmin(pg_current_snapshot()) as number');
      const isOver = ({ transactionsBelow }: Horizon): boolean => transactionsBelow <= runningFrom;
      for (const { number: decided } of this.#waiting.filter(isOver)) {
        if (decided > this.#settled) this.#settled = decided;
      }
      this.#waiting = this.#waiting.filter((horizon) => !isOver(horizon));
    }
    return Number(this.#settled);
  }
}

async function numberFrom(client: ClientBase, statement: string): Promise<bigint> {
  const { rows } = await client.query<{ number: string }>(statement);
  return BigInt(rows[0]?.number ?? 0);
}

/** Horizons that are remembered while a transaction goes on for long: the newest of them tell the most. */
const mostWaiting = 100;
