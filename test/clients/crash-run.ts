import type { Acknowledgements } from './acknowledgements.ts';
import type { ClientHome } from './client-home.ts';
import type { Fixtures } from './fixtures.ts';
import type { Outages } from './outages.ts';
import { UnexpectedAnswer } from './registry-repository.ts';

/** What the clients of one crash test share, and what they find. */
export class CrashRun {
  readonly host: string;
  readonly home: ClientHome;
  readonly fixtures: Fixtures;
  readonly acknowledgements: Acknowledgements;
  readonly outages: Outages;
  /** Nothing new is begun then. */
  readonly isTimeUp: () => boolean;
  /** What may never happen, restart or not. */
  readonly violations: string[] = [];
  /** How often each client had to try again. */
  readonly retries = new Map<string, number>();
  /** How many images were pulled back while the registry was being killed. */
  pulls = 0;
  /** How many uploads went on where they stood before a kill, and how many had to begin anew. */
  resumedUploads = 0;
  lostUploads = 0;

  constructor(parts: Pick<CrashRun, 'host' | 'home' | 'fixtures' | 'acknowledgements' | 'outages' | 'isTimeUp'>) {
    this.host = parts.host;
    this.home = parts.home;
    this.fixtures = parts.fixtures;
    this.acknowledgements = parts.acknowledgements;
    this.outages = parts.outages;
    this.isTimeUp = parts.isTimeUp;
  }

  get isOver(): boolean {
    return this.isTimeUp() || this.violations.length > 20;
  }

  /**
   * Repeats an operation until it succeeds. It may fail only where the registry was down meanwhile: any other failure,
   * and any answer that refuses what the registry must do, is a violation. Undefined where it never succeeded.
   */
  async persist<Result>(client: string, operation: () => Promise<Result>): Promise<Result | undefined> {
    while (!this.isOver) {
      const moment = this.outages.now();
      try {
        return await operation();
      } catch (error) {
        const isRefusal = error instanceof UnexpectedAnswer && error.status < 500;
        if (isRefusal || this.outages.wasUpSince(moment)) {
          this.violations.push(`${client}: ${String(error)}`);
          return undefined;
        }
        this.retries.set(client, (this.retries.get(client) ?? 0) + 1);
        await this.outages.untilUp();
      }
    }
    return undefined;
  }
}
