import type { AsyncConnection, Operation, SyncConnection } from '../../src/metadata/operation.ts';
import type { Begun, MetadataStore, WriteOptions } from '../../src/metadata/store.ts';
import { WrappedMetadata } from '../../test/metadata/wrapped-metadata.ts';

/** What operations have done since the counts were taken last. */
export interface Work {
  readonly statements: number;
  /** Rows that were read or changed. */
  readonly rows: number;
  /** Transactions that write, for each of which one waits for one's turn. */
  readonly writes: number;
}

/** Which statements are not counted, by what is bound to them. */
type IsLeftOut = (parameters: Parameters<SyncConnection['run']>[1]) => boolean;

type Count = (rows: number) => void;

/**
 * A metadata store that counts the statements of its operations, and the rows that they touch. What is run again counts
 * again: on PostgreSQL the first statement of a read that has several, and transactions that met others.
 */
export class CountedMetadata extends WrappedMetadata {
  readonly #isLeftOut: IsLeftOut;
  #statements = 0;
  #rows = 0;
  #writes = 0;

  constructor(inner: MetadataStore, isLeftOut: IsLeftOut = () => false) {
    super(inner);
    this.#isLeftOut = isLeftOut;
  }

  /** What was done since this was called last. */
  take(): Work {
    const work = { statements: this.#statements, rows: this.#rows, writes: this.#writes };
    this.#statements = 0;
    this.#rows = 0;
    this.#writes = 0;
    return work;
  }

  override write<T>(operation: (begun: Begun) => Operation<T>, options?: WriteOptions): Promise<T> {
    this.#writes += 1;
    return super.write(operation, options);
  }

  protected watching(connection: SyncConnection): SyncConnection {
    return counting(connection, this.#count, this.#isLeftOut);
  }

  protected override watchingLater(connection: AsyncConnection): AsyncConnection {
    return countingLater(connection, this.#count, this.#isLeftOut);
  }

  readonly #count: Count = (rows) => {
    this.#statements += 1;
    this.#rows += rows;
  };
}

function counting(connection: SyncConnection, count: Count, isLeftOut: IsLeftOut): SyncConnection {
  return {
    all(query, parameters) {
      const rows = connection.all(query, parameters);
      count(rows.length);
      return rows;
    },
    first(query, parameters) {
      const row = connection.first(query, parameters);
      count(row === undefined ? 0 : 1);
      return row;
    },
    run(query, parameters) {
      const changes = connection.run(query, parameters);
      if (!isLeftOut(parameters)) count(changes);
      return changes;
    },
  };
}

function countingLater(connection: AsyncConnection, count: Count, isLeftOut: IsLeftOut): AsyncConnection {
  return {
    async all(query, parameters) {
      const rows = await connection.all(query, parameters);
      count(rows.length);
      return rows;
    },
    async first(query, parameters) {
      const row = await connection.first(query, parameters);
      count(row === undefined ? 0 : 1);
      return row;
    },
    async run(query, parameters) {
      const changes = await connection.run(query, parameters);
      if (!isLeftOut(parameters)) count(changes);
      return changes;
    },
  };
}
