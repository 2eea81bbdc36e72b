import type { Reported, Severity } from './finding.ts';

/** How many findings there are of each severity, and how many were repaired. */
export type Counts = Readonly<Record<Severity | 'repaired', number>>;

/** Counts findings as they come. */
export class FindingCounts {
  readonly #counts: Record<Severity | 'repaired', number> = { loss: 0, leak: 0, note: 0, repaired: 0 };

  get counts(): Counts {
    return this.#counts;
  }

  add({ severity, isRepaired }: Pick<Reported, 'severity' | 'isRepaired'>): void {
    this.#counts[severity]++;
    if (isRepaired) this.#counts.repaired++;
  }
}
