import { AsyncLocalStorage } from 'node:async_hooks';
import type { SyncConnection } from '../../src/metadata/operation.ts';
import { findPurge, insertPurge } from '../../src/metadata/queries/purges.ts';
import { WrappedMetadata } from '../metadata/wrapped-metadata.ts';

/**
 * A metadata store that knows which calls of the system are a purge's own, while many others are at work: those of the
 * transaction that writes its record, and those made by whoever has read that record to finish it.
 */
export class PurgeWatch extends WrappedMetadata {
  readonly #finishing = new AsyncLocalStorage<true>();
  /** The record is written by the transaction under way. */
  #isBeginning = false;
  /** Since then the disk has not been synced. */
  #isUnsynced = false;

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

  protected watching(connection: SyncConnection): SyncConnection {
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
