/** Keeps reading at so many bytes a second, so that requests have the disk to themselves most of the time. */
export class Pace {
  readonly #bytesPerSecond: number;
  readonly #now: () => number;
  readonly #sleep: (ms: number) => Promise<void>;
  /** Until when what was read takes up its share, in ms. */
  #busyUntil: number;

  constructor(
    bytesPerSecond: number,
    now: () => number = () => performance.now(),
    sleep: (ms: number) => Promise<void> = (ms) => Bun.sleep(ms),
  ) {
    this.#bytesPerSecond = bytesPerSecond;
    this.#now = now;
    this.#sleep = sleep;
    this.#busyUntil = now();
  }

  /** So much has been read; resolves when more may be. */
  async took(bytes: number): Promise<void> {
    this.#busyUntil = Math.max(this.#busyUntil, this.#now()) + (bytes / this.#bytesPerSecond) * 1000;
    const waitMs = this.#busyUntil - this.#now();
    if (waitMs >= 1) await this.#sleep(waitMs);
  }
}
