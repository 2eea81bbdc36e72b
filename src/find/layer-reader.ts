import type { BlobStore, ObjectId } from '../blobs/store.ts';
import { lookInto, type LookNews, type Wanted } from './look-into.ts';

/** Looks into blobs, one after the other. */
export interface LayerReader {
  /** What is found in one, as it is found. Must be taken to its end, or ended, before the next. */
  lookInto(oid: ObjectId): AsyncGenerator<LookNews, void, undefined>;
  /** Breaks off what is under way, and looks into none any more. */
  end(): void;
}

/** Makes readers: where a server runs, one at a time, in a process of its own. */
export interface LayerReaders {
  /** Undefined where one is at work. */
  begin(wanted: Wanted): LayerReader | undefined;
}

/** Why blobs cannot be looked into any more, in words for the operator. */
export class ReaderEndedError extends Error {
  override readonly name = 'ReaderEndedError';
}

/** Reads within this process. */
export class StoreLayerReader implements LayerReader {
  readonly #blobs: Pick<BlobStore, 'read'>;
  readonly #wanted: Wanted;

  constructor(blobs: Pick<BlobStore, 'read'>, wanted: Wanted) {
    this.#blobs = blobs;
    this.#wanted = wanted;
  }

  async *lookInto(oid: ObjectId): AsyncGenerator<LookNews, void, undefined> {
    try {
      yield* lookInto(this.#blobs.read(oid).stream(), this.#wanted);
    } catch (error) {
      const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
      if (code === undefined) throw error;
      const end =
        code === 'ENOENT'
          ? ({ kind: 'gone' } as const)
          : ({ kind: 'unread', reason: `its file cannot be read (${code})` } as const);
      yield { found: [], readBytes: 0, end };
    }
  }

  end(): void {
    // Whoever ends the generator has ended the reading.
  }
}
