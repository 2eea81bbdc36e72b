import { Findings } from './findings.ts';
import { Latencies } from './latencies.ts';

/** What a storm counts while it goes on. */
export class Tally {
  readonly findings = new Findings();
  readonly latencies = new Map<string, Latencies>();
  /** When requests failed as they may while the registry is down, in ms since 1970, and how. */
  readonly unanswered: { readonly at: number; readonly how: string }[] = [];
  readonly acknowledged = { pushes: 0, deletes: 0, refusedDeletes: 0 };
  /** Pushes that were refused because what the client had seen was gone, after its lease or a client's delete. */
  expiredPushes = 0;
  /** Images pulled whole. */
  pulls = 0;
  /** Upload sessions that were gone after the registry was. */
  lostSessions = 0;
  /** Deletes that were accepted though an image needs what they deleted. */
  breakingDeletes = 0;
  pushedBytes = 0;
  pulledBytes = 0;

  took(kind: string, ms: number): void {
    const latencies = this.latencies.get(kind) ?? new Latencies();
    this.latencies.set(kind, latencies);
    latencies.add(ms);
  }
}
