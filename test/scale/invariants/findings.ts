/** The invariants of the protocol (section 2), by number, and what each of them says. */
export const invariants = {
  I1: 'what is live is in the bucket, whole',
  I2: 'an object id is used once, and its bytes go when it is dead',
  I3: 'a link has a live object',
  I4: 'a manifest has the links that it needs',
  I5: 'a visible index has the manifests that it lists',
  I6: 'a tag has a visible manifest',
  I7: 'what is acknowledged is committed, and leased for half a lease at least',
  I8: 'nothing goes while something holds it',
  I9: 'everything is looked at again, and every key has a row',
  I10: 'what is visible is what is committed: right bytes, 404, or 503',
  I11: 'what is blocked is not here, and does not come',
  I12: 'a review changes nothing that is made once more, late, or twice at once',
  I13: 'a delete touches what it deletes: no table is read through, no bucket listed',
} as const;

export type Invariant = keyof typeof invariants;

/** An invariant that does not hold, and how that was seen. */
export interface Broken {
  readonly invariant: Invariant;
  readonly words: string;
}

/** What those who look from beside have seen: how often they have looked for each invariant, and what was broken. */
export class Findings {
  readonly #broken = new Map<string, number>();
  readonly #looks = new Map<Invariant, number>();

  /** Somebody has looked whether an invariant holds, so many times. */
  looked(invariant: Invariant, times = 1): void {
    this.#looks.set(invariant, (this.#looks.get(invariant) ?? 0) + times);
  }

  found({ invariant, words }: Broken): void {
    const line = `${invariant}, ${invariants[invariant]}: ${words}`;
    this.#broken.set(line, (this.#broken.get(line) ?? 0) + 1);
  }

  /** What was broken, each beginning with the invariant's number. */
  get broken(): readonly string[] {
    return [...this.#broken].map(([line, times]) => (times === 1 ? line : `${line} (${times} times)`));
  }

  /** The invariants for which nobody has looked. */
  get unseen(): readonly string[] {
    return Object.keys(invariants).filter((invariant) => !this.table.some(([each]) => each === invariant));
  }

  /** Each invariant that was looked for, and how often. */
  get table(): readonly (readonly [Invariant, number])[] {
    return [...this.#looks].filter(([, times]) => times > 0);
  }

  get text(): string {
    const looks = new Map<string, number>(this.table);
    return Object.entries(invariants)
      .map(([invariant, words]) => `${invariant.padEnd(4)}${String(looks.get(invariant) ?? 0).padStart(7)}  ${words}`)
      .join('\n');
  }
}
