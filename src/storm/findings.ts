/** A request whose answer was not what it had to be. */
export interface Example {
  readonly request: string;
  readonly expected: string;
  readonly got: string;
  /** When it was found, in ms since 1970. */
  readonly at: number;
}

/** Answers that are wrong in the same way. */
export interface WrongAnswers {
  readonly what: string;
  readonly count: number;
  readonly examples: readonly Example[];
}

const shownOfEach = 5;

/** Gathers what is wrong. */
export class Findings {
  readonly #found = new Map<string, { count: number; readonly examples: Example[] }>();

  wrong(what: string, example: Omit<Example, 'at'>): void {
    const same = this.#found.get(what) ?? { count: 0, examples: [] };
    this.#found.set(what, same);
    same.count += 1;
    if (same.examples.length < shownOfEach) same.examples.push({ ...example, at: Date.now() });
  }

  get any(): boolean {
    return this.#found.size > 0;
  }

  get all(): readonly WrongAnswers[] {
    return [...this.#found].map(([what, { count, examples }]) => ({ what, count, examples }));
  }
}
