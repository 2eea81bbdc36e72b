import { first } from '../metadata/operation.ts';
import { liveObjectsAfter } from '../metadata/queries/objects.ts';
import { countOpenUploads } from '../metadata/queries/uploads.ts';
import type { MetadataStore } from '../metadata/store.ts';
import type { Clock } from './clock.ts';

/** Rows that one step reads, so that no request waits long. */
const rowsPerStep = 2000;
/** How long a count may be old, in ms. */
const maxAgeMs = 60_000;

export interface HeldFigures {
  readonly openUploads: number;
  readonly liveBlobs: number;
  readonly liveBytes: number;
}

/** Counts what the registry holds, in small steps and at most once a minute. */
export class StoreFigures {
  readonly #metadata: MetadataStore;
  readonly #clock: Clock;
  #counted: { readonly at: number; readonly liveBlobs: number; readonly liveBytes: number } | undefined;

  constructor(parts: { metadata: MetadataStore; clock: Clock }) {
    this.#metadata = parts.metadata;
    this.#clock = parts.clock;
  }

  async measure(): Promise<HeldFigures> {
    const now = this.#clock.now();
    if (this.#counted === undefined || now - this.#counted.at > maxAgeMs) {
      this.#counted = { at: now, ...(await this.#count()) };
    }
    const uploads = await this.#metadata.read(() => first(countOpenUploads, {}));
    const { liveBlobs, liveBytes } = this.#counted;
    return { openUploads: uploads?.count ?? 0, liveBlobs, liveBytes };
  }

  async #count(): Promise<{ liveBlobs: number; liveBytes: number }> {
    let liveBlobs = 0;
    let liveBytes = 0;
    let after = '';
    for (;;) {
      const step = await this.#metadata.read(() => first(liveObjectsAfter, { after, limit: rowsPerStep }));
      liveBlobs += step?.live ?? 0;
      liveBytes += step?.bytes ?? 0;
      if (step === undefined || step.last === null) return { liveBlobs, liveBytes };
      after = step.last;
      await new Promise(setImmediate);
    }
  }
}
