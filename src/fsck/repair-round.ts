import type { Finding, Repair, Reported } from './finding.ts';

/** What gives bytes up that no row knows. */
const takesBytes: ReadonlySet<Repair['kind']> = new Set(['remove-stray', 'abort-upload']);

/** Takes away what one check finds, as far as it can be taken away. */
export class RepairRound {
  readonly #make: (repair: Repair) => Promise<boolean>;
  #isOutdated = false;
  /** Something was to be adopted, and was not. */
  #isLeftBehind = false;

  /** @param make makes a repair; says whether it has */
  constructor(make: (repair: Repair) => Promise<boolean>) {
    this.#make = make;
  }

  /** To be given every finding, in order. */
  async report(finding: Finding): Promise<Reported> {
    this.#isOutdated ||= finding.code === 'F14';
    const { repair } = finding;
    // What an outdated database does not know may be what a newer one does: whoever accepts it anyway runs it again.
    const isRepairable = repair !== undefined && !(this.#isOutdated && takesBytes.has(repair.kind));
    // Nor is such a database accepted before it knows all that it has to.
    const isHeldUp = repair?.kind === 'settle-generation' && this.#isLeftBehind;
    const isRepaired = isRepairable && !isHeldUp && (await this.#make(repair));
    this.#isLeftBehind ||= finding.isToBeAdopted === true && !isRepaired;
    return { ...finding, isRepairable, isRepaired };
  }
}
