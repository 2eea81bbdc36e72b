import type { Operation, SyncConnection } from '../../src/metadata/operation.ts';
import type { Begun, MetadataStore, WriteOptions } from '../../src/metadata/store.ts';
import { WrappedMetadata } from './wrapped-metadata.ts';

/** A database that undoes one write of those that do not wait for the disk, whenever there is an error for it. */
export class FailingMetadata extends WrappedMetadata {
  readonly #failing: { next?: Error };

  constructor(inner: MetadataStore, failing: { next?: Error }) {
    super(inner);
    this.#failing = failing;
  }

  protected watching(connection: SyncConnection): SyncConnection {
    return connection;
  }

  override async writeUnsynced<T>(operation: (begun: Begun) => Operation<T>, options?: WriteOptions): Promise<T> {
    const { next: error } = this.#failing;
    delete this.#failing.next;
    return await super.writeUnsynced(function* undone(begun): Operation<T> {
      const result = yield* operation(begun);
      if (error !== undefined) throw error;
      return result;
    }, options);
  }
}
