/** How often a person sees how far it has come, in ms. */
const shownEveryMs = 200;
/** In characters. */
const barWidth = 30;

/** Where a person looks. */
export interface Screen {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

/** A line at a terminal that is written over and over: how far something long has come. Elsewhere it is not shown. */
export class ProgressLine {
  readonly #screen: Screen;
  readonly #now: () => number;
  #shownAt = -Infinity;
  #latest = '';
  /** Shows the latest once the one before has been seen for long enough. */
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isThere = false;

  constructor(screen: Screen = process.stderr, now: () => number = () => performance.now()) {
    this.#screen = screen;
    this.#now = now;
  }

  /** @param name what is counted, such as `objects`; where it is known of how many, there is a bar */
  show({
    name,
    done,
    total,
  }: {
    readonly name: string;
    readonly done: number;
    readonly total?: number | undefined;
  }): void {
    const count = done.toLocaleString('en');
    this.tell(
      total === undefined
        ? `${count} ${name}`
        : `${barText(done, total)} ${count} of ${total.toLocaleString('en')} ${name}`,
    );
  }

  tell(text: string): void {
    if (this.#screen.isTTY !== true) return;
    this.#latest = text;
    const waitMs = this.#shownAt + shownEveryMs - this.#now();
    if (waitMs <= 0) return this.#write();
    this.#timer ??= setTimeout(() => this.#write(), waitMs);
    this.#timer.unref();
  }

  /** Makes room for what is printed. */
  clear(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (!this.#isThere) return;
    this.#isThere = false;
    this.#screen.write('\r\u001B[K');
  }

  #write(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#shownAt = this.#now();
    this.#isThere = true;
    this.#screen.write(`\r\u001B[K${this.#latest}`);
  }
}

/** `[######        ]  43 %` */
function barText(done: number, total: number): string {
  const share = total === 0 ? 1 : Math.min(1, done / total);
  const filled = Math.floor(share * barWidth);
  return `[${'#'.repeat(filled)}${' '.repeat(barWidth - filled)}] ${String(Math.floor(share * 100)).padStart(3)} %`;
}
