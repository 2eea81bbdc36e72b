/** A disk is short when less than this share of it is free, and less than so many bytes. */
const shortShare = 0.05;
const shortBytes = 1024 ** 3;
/** How often it is looked, in ms. */
const lookEveryMs = 10_000;

export interface DiskSpace {
  readonly freeBytes: number;
  readonly totalBytes: number;
}

/** Watches how much room is left, since the collector hurries where there is little. */
export class ShortDisk {
  readonly #measure: () => Promise<DiskSpace>;
  #timer: ReturnType<typeof setInterval> | undefined;
  #isShort = false;

  constructor(measure: () => Promise<DiskSpace>) {
    this.#measure = measure;
  }

  start(): void {
    void this.look();
    this.#timer = setInterval(() => void this.look(), lookEveryMs);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  get isShort(): boolean {
    return this.#isShort;
  }

  /** Looks now; a disk that cannot be measured stays what it was. */
  async look(): Promise<void> {
    try {
      const { freeBytes, totalBytes } = await this.#measure();
      this.#isShort = freeBytes < Math.min(totalBytes * shortShare, shortBytes);
    } catch {
      // Whoever needs the disk tells what is wrong with it.
    }
  }
}
