import { AsyncLocalStorage } from 'node:async_hooks';
import type { Operation, Step, SyncConnection } from '../../src/metadata/operation.ts';
import { findPurge, insertPurge } from '../../src/metadata/queries/purges.ts';
import type { MetadataStore, WriteOptions } from '../../src/metadata/store.ts';

/**
 * A metadata store that knows which calls of the system are a purge's own, while many others are at work: those of the
 * transaction that writes its record, and those made by whoever has read that record to finish it.
 */
export class PurgeWatch implements MetadataStore {
  readonly #inner: MetadataStore;
  readonly #finishing = new AsyncLocalStorage<true>();
  /** The record is written by the transaction under way. */
  #isBeginning = false;
  /** Since then the disk has not been synced. */
  #isUnsynced = false;

  constructor(inner: MetadataStore) {
    this.#inner = inner;
  }

  /** Whether a failure point that is reached now is one of a purge. */
  isOfPurge(point: string): boolean {
    if (this.#finishing.getStore() === true) return true;
    if (this.#isBeginning && point.endsWith(' commit')) {
      if (point.startsWith('after')) this.#isBeginning = false;
      return true;
    }
    if (this.#isUnsynced && point.endsWith(' syncLog')) {
      if (point.startsWith('after')) this.#isUnsynced = false;
      return true;
    }
    return false;
  }

  // Not async, so that what a query enters is entered for its caller too.
  read<T>(operation: () => Operation<T>): Promise<T> {
    return this.#inner.read(() => this.#watched(operation()));
  }

  write<T>(operation: () => Operation<T>, options?: WriteOptions): Promise<T> {
    return this.#inner.write(() => this.#watched(operation()), options);
  }

  writeUnsynced<T>(operation: () => Operation<T>, options?: WriteOptions): Promise<T> {
    return this.#inner.writeUnsynced(() => this.#watched(operation()), options);
  }

  async durable(): Promise<void> {
    await this.#inner.durable();
  }

  forgetOldPages(): Promise<boolean> {
    return this.#inner.forgetOldPages();
  }

  get commits(): number | undefined {
    return this.#inner.commits;
  }

  watch(committed: () => void): void {
    this.#inner.watch(committed);
  }

  async isReady(): Promise<boolean> {
    return await this.#inner.isReady();
  }

  async close(): Promise<void> {
    await this.#inner.close();
  }

  *#watched<T>(operation: Operation<T>): Operation<T> {
    for (;;) {
      const next = operation.next();
      if (next.done === true) return next.value;
      yield this.#watchedStep(next.value);
    }
  }

  #watchedStep(step: Step): Step {
    return {
      execute: (connection) => step.execute(this.#watching(connection)),
      executeLater: async (connection) => await step.executeLater(connection),
    };
  }

  #watching(connection: SyncConnection): SyncConnection {
    return {
      all: (query, parameters) => connection.all(query, parameters),
      first: (query, parameters) => {
        const asked: unknown = query;
        if (asked === insertPurge) {
          this.#isBeginning = true;
          this.#isUnsynced = true;
        }
        if (asked === findPurge) this.#finishing.enterWith(true);
        return connection.first(query, parameters);
      },
      run: (query, parameters) => connection.run(query, parameters),
    };
  }
}
