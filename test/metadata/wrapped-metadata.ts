import type { AsyncConnection, Operation, Step, SyncConnection } from '../../src/metadata/operation.ts';
import type { Begun, Meetings, MetadataStore, OldPages, Seen, Topic, WriteOptions } from '../../src/metadata/store.ts';

/** A metadata store around another, which sees every statement of every operation. */
export abstract class WrappedMetadata implements MetadataStore {
  readonly #inner: MetadataStore;

  constructor(inner: MetadataStore) {
    this.#inner = inner;
  }

  /** What takes the statements on their way to a connection. */
  protected abstract watching(connection: SyncConnection): SyncConnection;

  /** The same for one that answers later, where it is asked for. */
  protected watchingLater(connection: AsyncConnection): AsyncConnection {
    return connection;
  }

  // Not async, so that an async context which a query enters is entered for its caller too.
  read<T>(operation: () => Operation<T>): Promise<T> {
    return this.#inner.read(() => this.#watched(operation()));
  }

  write<T>(operation: (begun: Begun) => Operation<T>, options?: WriteOptions): Promise<T> {
    return this.#inner.write((begun) => this.#watched(operation(begun)), options);
  }

  writeUnsynced<T>(operation: (begun: Begun) => Operation<T>, options?: WriteOptions): Promise<T> {
    return this.#inner.writeUnsynced((begun) => this.#watched(operation(begun)), options);
  }

  async durable(what?: Seen): Promise<void> {
    await this.#inner.durable(what);
  }

  async forgetOldPages(): Promise<OldPages> {
    return await this.#inner.forgetOldPages();
  }

  get isShared(): boolean {
    return this.#inner.isShared;
  }
  async settledEvents(): Promise<number> {
    return await this.#inner.settledEvents();
  }
  async processesBefore(migration: number): Promise<readonly string[]> {
    return await this.#inner.processesBefore(migration);
  }
  async sizeBytes(): Promise<number> {
    return await this.#inner.sizeBytes();
  }

  get meetings(): Meetings | undefined {
    return this.#inner.meetings;
  }

  get commits(): number | undefined {
    return this.#inner.commits;
  }

  announce(topic: Topic): void {
    this.#inner.announce(topic);
  }

  onAnnouncement(heard: (topic: Topic) => void): void {
    this.#inner.onAnnouncement(heard);
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
      execute: (connection) => step.execute(this.watching(connection)),
      executeLater: async (connection) => await step.executeLater(this.watchingLater(connection)),
    };
  }
}
