import { change, first, type Operation } from '../metadata/operation.ts';
import { unqueuePolicies } from '../metadata/queries/policy-approvals.ts';
import {
  deletePruningPause,
  findPruningPause,
  overrulePruningPause,
  upsertPruningPause,
} from '../metadata/queries/pruning-pause.ts';
import type { PruningPauseTable } from '../metadata/schema.ts';
import { type Actor, pruningActor } from '../registry/actor.ts';
import { recordEvent } from '../registry/events.ts';
import type { Registry } from '../registry/registry.ts';

/** Until when a pause lasts that an operator has ended. */
const overruled = 0;

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

type PauseRow = Pick<PruningPauseTable, 'reason' | 'paused_at' | 'until'>;

/** A pause as this process keeps it. */
interface Held {
  readonly pause: PruningPause;
  /** When it is over, by the steady clock. */
  readonly endsAtMs: number;
}

/**
 * Notices that the clock was set, which would make everything old at once (R42), and has nothing pruned for a while: until
 * somebody has set it right, or says that it is right, or it has gone on steadily for that long. It is remembered over a
 * restart, and holds in all processes that share the database. Whoever has noticed the clock being set goes by what it has seen
 * until somebody says that it is right, as the clock of another process may be another one. Whoever hears of a pause that another
 * one has begun holds it for as long as one lasts, since by the clock of a machine that was set it may end at any time.
 */
export class ClockWatch {
  readonly #registry: Pick<Registry, 'metadata' | 'clock' | 'log'>;
  readonly #settings: ClockSettings;
  #wallMs: number;
  #monotonicMs: number;
  /** How far the clock is from where it would be had nobody set it. */
  #offMs = 0;
  /** The pause that this process has begun. */
  #own: Held | undefined;
  /** Whether it is in the database: what was overruled there before that is another one. */
  #isOwnTold = false;
  /** What was in the database when it was read last, and how it was held since that was there. */
  #told: { readonly row: PauseRow; readonly held: Held } | undefined;
  #hasRead = false;
  /** Whether pruning goes on after a pause, and what was queued by a clock that was wrong has not been queued again. */
  hasResumed = false;

  constructor(registry: Pick<Registry, 'metadata' | 'clock' | 'log'>, settings: ClockSettings) {
    this.#registry = registry;
    this.#settings = settings;
    this.#wallMs = registry.clock.now();
    this.#monotonicMs = registry.clock.monotonic();
  }

  /** Why nothing is pruned, as far as this process knows by now; undefined where nothing holds it. */
  async pause(): Promise<PruningPause | undefined> {
    const told = await this.#read();
    if (this.#own !== undefined) return this.#own.pause;
    return told !== undefined && told.endsAtMs > this.#registry.clock.monotonic() ? told.pause : undefined;
  }

  /** Looks at the clock. @returns whether it is to be believed */
  async look(): Promise<boolean> {
    const told = await this.#read();
    const { clock } = this.#registry;
    const [wallMs, monotonicMs] = [clock.now(), clock.monotonic()];
    const stepMs = wallMs - this.#wallMs - (monotonicMs - this.#monotonicMs);
    const expectedMs = wallMs - stepMs;
    this.#wallMs = wallMs;
    this.#monotonicMs = monotonicMs;
    this.#offMs += stepMs;
    const { largestStepMs, pauseMs } = this.#settings;
    const held = this.#own ?? told;
    if (Math.abs(stepMs) > largestStepMs && Math.abs(this.#offMs) > largestStepMs) {
      const reason = `the clock was set from ${timeText(expectedMs)} to ${timeText(wallMs)}`;
      await this.#stop({ reason, pausedAt: wallMs, until: wallMs + pauseMs });
      return false;
    }
    if (held === undefined) {
      // Small steps do not add up to a large one, nor hide one.
      this.#offMs = 0;
    } else if (this.#own !== undefined && Math.abs(stepMs) > largestStepMs) {
      await this.#resume(pruningActor, 'the clock was set right again', deletePruningPause);
    } else if (held.endsAtMs <= monotonicMs) {
      await this.#resume(pruningActor, 'the clock has gone on steadily since', deletePruningPause);
    } else {
      return false;
    }
    return true;
  }

  /** Believes the clock as it is, in all processes. False where nothing was paused. */
  async resume(actor: Actor, reason: string): Promise<boolean> {
    const isPaused = (await this.#read()) !== undefined || this.#own !== undefined;
    if (isPaused) await this.#resume(actor, reason, overrulePruningPause);
    else this.#offMs = 0;
    return isPaused;
  }

  /** The pause in the database. One that was overruled is none, and this process's own is over with it. */
  async #read(): Promise<Held | undefined> {
    const row = await this.#registry.metadata.read(() => first(findPruningPause, {}));
    const isFirst = !this.#hasRead;
    this.#hasRead = true;
    if (row === undefined || row.until === overruled) {
      this.#told = undefined;
      if (row !== undefined && this.#own !== undefined && this.#isOwnTold) [this.#own, this.#offMs] = [undefined, 0];
      return undefined;
    }
    if (this.#told?.row.paused_at !== row.paused_at || this.#told.row.until !== row.until) {
      this.#told = { row, held: this.#heldFrom(row, isFirst) };
    }
    return this.#told.held;
  }

  /** @param isFirst whether it may have begun before this process did, which knows only by its own clock how long ago */
  #heldFrom({ reason, paused_at: pausedAt, until }: PauseRow, isFirst: boolean): Held {
    const { clock } = this.#registry;
    const { pauseMs } = this.#settings;
    const [now, monotonicMs] = [clock.now(), clock.monotonic()];
    if (!isFirst) return { pause: { reason, pausedAt, until: now + pauseMs }, endsAtMs: monotonicMs + pauseMs };
    // One that would last longer than any was begun by a clock that is not as it was: it has been set right since.
    const leftMs = until <= now + pauseMs ? until - now : 0;
    return { pause: { reason, pausedAt, until }, endsAtMs: monotonicMs + leftMs };
  }

  async #resume(
    actor: Actor,
    reason: string,
    end: typeof deletePruningPause | typeof overrulePruningPause,
  ): Promise<void> {
    const { metadata, clock, log } = this.#registry;
    const at = clock.now();
    await metadata.write(
      function* resume(): Operation<void> {
        const ended = yield* change(end, { overruled });
        yield* change(unqueuePolicies, {});
        if (ended > 0) yield* recordEvent({ at, kind: 'retention.resumed', actor, reason });
      },
      { fromReserve: true },
    );
    [this.#own, this.#offMs] = [undefined, 0];
    this.hasResumed = true;
    log.warn({ reason }, 'retention prunes again');
  }

  async #stop(pause: PruningPause): Promise<void> {
    [this.#own, this.#isOwnTold] = [{ pause, endsAtMs: this.#monotonicMs + this.#settings.pauseMs }, false];
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
    this.#isOwnTold = true;
  }
}

function timeText(time: number): string {
  return new Date(time).toISOString();
}
