import { change, first, type Operation } from '../metadata/operation.ts';
import { unqueuePolicies } from '../metadata/queries/policy-approvals.ts';
import { deletePruningPause, findPruningPause, upsertPruningPause } from '../metadata/queries/pruning-pause.ts';
import { type Actor, pruningActor } from '../registry/actor.ts';
import { recordEvent } from '../registry/events.ts';
import type { Registry } from '../registry/registry.ts';

export interface ClockSettings {
  /** By how much the clock may go wrong between two looks, in ms. */
  readonly largestStepMs: number;
  /** How long nothing is pruned after it did, in ms. */
  readonly pauseMs: number;
}

/** Why nothing is pruned, and until when, in ms since 1970. */
export interface PruningPause {
  readonly reason: string;
  readonly pausedAt: number;
  readonly until: number;
}

/**
 * Notices that the clock was set, which would make everything old at once (R42), and has nothing pruned for a while: until
 * somebody has set it right, or says that it is right, or it has gone on steadily for that long. It is remembered over a
 * restart.
 */
export class ClockWatch {
  readonly #registry: Registry;
  readonly #settings: ClockSettings;
  #wallMs: number;
  #monotonicMs: number;
  /** How far the clock is from where it would be had nobody set it. */
  #offMs = 0;
  #pause: PruningPause | undefined;
  /** Whether pruning goes on after a pause, and what was queued by a clock that was wrong has not been queued again. */
  hasResumed = false;

  private constructor(registry: Registry, settings: ClockSettings, pause: PruningPause | undefined) {
    this.#registry = registry;
    this.#settings = settings;
    this.#pause = pause;
    this.#wallMs = registry.clock.now();
    this.#monotonicMs = registry.clock.monotonic();
  }

  static async begin(registry: Registry, settings: ClockSettings): Promise<ClockWatch> {
    const row = await registry.metadata.read(() => first(findPruningPause, {}));
    const pause = row === undefined ? undefined : { reason: row.reason, pausedAt: row.paused_at, until: row.until };
    return new ClockWatch(registry, settings, pause);
  }

  get pause(): PruningPause | undefined {
    return this.#pause;
  }

  /** Looks at the clock. @returns whether it is to be believed */
  async look(): Promise<boolean> {
    const { clock } = this.#registry;
    const [wallMs, monotonicMs] = [clock.now(), clock.monotonic()];
    const stepMs = wallMs - this.#wallMs - (monotonicMs - this.#monotonicMs);
    const expectedMs = wallMs - stepMs;
    this.#wallMs = wallMs;
    this.#monotonicMs = monotonicMs;
    this.#offMs += stepMs;
    const { largestStepMs, pauseMs } = this.#settings;
    if (Math.abs(stepMs) > largestStepMs && Math.abs(this.#offMs) > largestStepMs) {
      const reason = `the clock was set from ${timeText(expectedMs)} to ${timeText(wallMs)}`;
      await this.#stop({ reason, pausedAt: wallMs, until: wallMs + pauseMs });
    } else if (this.#pause !== undefined && Math.abs(stepMs) > largestStepMs) {
      await this.resume(pruningActor, 'the clock was set right again');
    } else if (this.#pause !== undefined && !isAhead(this.#pause.until, wallMs, pauseMs)) {
      await this.resume(pruningActor, 'the clock has gone on steadily since');
    } else if (this.#pause === undefined) {
      // Small steps do not add up to a large one, nor hide one.
      this.#offMs = 0;
    }
    return this.#pause === undefined;
  }

  /** Believes the clock as it is. False where nothing was paused. */
  async resume(actor: Actor, reason: string): Promise<boolean> {
    this.#offMs = 0;
    if (this.#pause === undefined) return false;
    this.#pause = undefined;
    this.hasResumed = true;
    const { metadata, clock, log } = this.#registry;
    const at = clock.now();
    await metadata.write(
      function* resume(): Operation<void> {
        yield* change(deletePruningPause, {});
        yield* change(unqueuePolicies, {});
        yield* recordEvent({ at, kind: 'retention.resumed', actor, reason });
      },
      { fromReserve: true },
    );
    log.warn({ reason }, 'retention prunes again');
    return true;
  }

  async #stop(pause: PruningPause): Promise<void> {
    this.#pause = pause;
    const { reason, pausedAt: now, until } = pause;
    const { metadata, log } = this.#registry;
    log.error({ until: timeText(until) }, `${reason}: nothing is pruned until then, or "wherry retention resume"`);
    await metadata.write(
      function* stop(): Operation<void> {
        yield* change(upsertPruningPause, { reason, now, until });
        yield* recordEvent({ at: now, kind: 'retention.paused', actor: pruningActor, reason });
      },
      { fromReserve: true },
    );
  }
}

/** Whether a time is still to come, and not further away than a pause that began just now would end. */
function isAhead(time: number, now: number, pauseMs: number): boolean {
  return time > now && time <= now + pauseMs;
}

function timeText(time: number): string {
  return new Date(time).toISOString();
}
