import { waitMs } from '../../src/metadata/postgres/reconnecting.ts';
import { SeededRandom } from '../../src/storm/seeded-random.ts';
import type { SeveralProcesses } from './several-processes.ts';

/** A request that was sent during an outage may be told so this long after its end, in ms. */
const graceMs = 2000;
/** The same where what processes depend on was away: they look for it after a while only, so as not to storm it. */
const restartGraceMs = graceMs + waitMs.most;

/** A server that processes depend on. */
interface Restartable {
  halt(): Promise<void>;
  goOn(): Promise<void>;
}

/** Kills processes with -9 at random, one or two at a time, and restarts what they depend on, each once in the middle. */
export class Disturbances {
  kills = 0;
  restarts = 0;
  readonly #processes: SeveralProcesses;
  readonly #servers: readonly Restartable[];
  /** Requests that were sent within one may fail. */
  readonly #outages: { readonly from: number; readonly to: number }[] = [];

  constructor(processes: SeveralProcesses, servers: readonly Restartable[]) {
    this.#processes = processes;
    this.#servers = servers;
  }

  /** Goes on for so long, in ms. */
  async goOnFor(durationMs: number, seed: number): Promise<void> {
    const random = new SeededRandom(seed);
    const startedAt = Date.now();
    const waiting = this.#servers.map((server, index) => {
      const share = (index + 1) / (this.#servers.length + 1);
      return { server, at: startedAt + durationMs * share };
    });
    for (;;) {
      const pauseMs = random.between(500, 2500);
      if (Date.now() + pauseMs > startedAt + durationMs) break;
      await Bun.sleep(pauseMs);
      const [next] = waiting;
      if (next !== undefined && Date.now() >= next.at) {
        waiting.shift();
        await this.#restart(next.server, random.between(0, 1000));
      } else await this.#kill(random);
    }
    for (const { server } of waiting) await this.#restart(server, 0);
  }

  /** Whether a request that failed at a time (of Date.now()) may have done so for an outage. */
  explains(at: number): boolean {
    return this.#outages.some(({ from, to }) => at >= from && at <= to);
  }

  async #kill(random: SeededRandom): Promise<void> {
    const victims = new Set([random.between(0, this.#processes.count - 1)]);
    if (random.chance(0.3)) victims.add(random.between(0, this.#processes.count - 1));
    const from = Date.now();
    await Promise.all([...victims].map((victim) => this.#processes.kill(victim)));
    await Promise.all([...victims].map((victim) => this.#processes.resume(victim)));
    this.kills += victims.size;
    this.#outages.push({ from, to: Date.now() + graceMs });
  }

  async #restart(server: Restartable, awayMs: number): Promise<void> {
    const from = Date.now();
    await server.halt();
    await Bun.sleep(awayMs);
    await server.goOn();
    this.restarts += 1;
    this.#outages.push({ from, to: Date.now() + restartGraceMs });
  }
}
