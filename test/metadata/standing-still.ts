import type { Operation, SyncConnection } from '../../src/metadata/operation.ts';
import type { Begun, WriteOptions } from '../../src/metadata/store.ts';
import { WrappedMetadata } from './wrapped-metadata.ts';

/** Holds the next write up that waits for the disk, before it or after it, as if its process stood still. */
export class StandingStill extends WrappedMetadata {
  readonly reached = Promise.withResolvers<void>();
  readonly goOn = Promise.withResolvers<void>();
  #armed: 'before' | 'after' | undefined;

  arm(when: 'before' | 'after' = 'before'): void {
    this.#armed = when;
  }

  override async write<T>(operation: (begun: Begun) => Operation<T>, options?: WriteOptions): Promise<T> {
    const armed = this.#armed;
    this.#armed = undefined;
    if (armed === 'before') await this.#stand();
    const result = await super.write(operation, options);
    if (armed === 'after') await this.#stand();
    return result;
  }

  async #stand(): Promise<void> {
    this.reached.resolve();
    await this.goOn.promise;
  }

  protected override watching(connection: SyncConnection): SyncConnection {
    return connection;
  }
}
