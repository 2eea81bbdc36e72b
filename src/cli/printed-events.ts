/** Numbers of printed events that are kept, so that none of them is printed again. */
const mostKept = 10_000;

/** What is known of an event that was printed. */
interface Numbered {
  readonly id: number;
}

/**
 * The pages of a log that were printed before it is followed: where following begins, and what of it has been printed.
 *
 * The `lastId` of a page may be far below the page's own events: a server that has just been started with PostgreSQL knows
 * of no number that it is settled as long as some transaction goes on. Following then begins at the first event that was
 * printed, not at the first there is.
 */
export class PrintedEvents {
  readonly #mostKept: number;
  /** Undefined before the first page. */
  #settled: number | undefined;
  #smallest: number | undefined;
  /** Of printed events that may come again, the oldest first. */
  readonly #kept = new Set<number>();

  constructor(most = mostKept) {
    this.#mostKept = most;
  }

  /** The first page's `lastId` counts: what has been committed since is in none of the pages for sure. */
  add({ events, lastId }: { readonly events: readonly Numbered[]; readonly lastId: number }): void {
    this.#settled ??= lastId;
    for (const { id } of events) {
      if (id < (this.#smallest ?? Infinity)) this.#smallest = id;
      if (id > this.#settled) this.#kept.add(id);
    }
    for (const id of this.#kept) {
      if (this.#kept.size <= this.#mostKept) break;
      this.#kept.delete(id);
      // Whatever is followed is larger, so that it does not come again.
      this.#settled = Math.max(this.#settled, id);
    }
  }

  /** The number of the event after which following begins; undefined where no page was read. */
  get after(): number | undefined {
    if (this.#settled === undefined) return undefined;
    return Math.max(this.#settled, (this.#smallest ?? 0) - 1);
  }

  /** Whether an event that comes by following was not printed. */
  isNew({ id }: Numbered): boolean {
    return !this.#kept.delete(id);
  }
}
