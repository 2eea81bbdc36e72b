/** Why a registry cannot be changed. */
export interface StateOfChanges {
  readonly reason?: string | undefined;
  /** Where it was moved to. */
  readonly movedTo?: string | undefined;
}

/** How a move has all changes of a registry refused. */
export interface ChangeSwitch {
  /** Undefined where it can be changed. */
  state(): Promise<StateOfChanges | undefined>;
  /** @throws where somebody else has set it */
  on(reason: string, leaseMs: number): Promise<void>;
  /** @throws where it has ended meanwhile */
  renew(leaseMs: number): Promise<void>;
  /** For good. @throws where it has ended meanwhile */
  stay(reason: string, movedTo: string | undefined): Promise<void>;
  off(): Promise<void>;
}

/** How long changes stay refused once the process that moves a registry has died, in ms, and how often it renews that. */
const leaseMs = 60_000;
const renewEveryMs = 10_000;

/** Changes may have been made while they were to be refused. */
export class HoldLostError extends Error {
  override readonly name = 'HoldLostError';
}

/** Has all changes of a registry refused as long as this lives. */
export class Hold implements AsyncDisposable {
  readonly #switch: ChangeSwitch;
  readonly #timer: ReturnType<typeof setInterval>;
  #isKept = false;

  private constructor(changes: ChangeSwitch) {
    this.#switch = changes;
    this.#timer = setInterval(() => void this.#renew(), renewEveryMs);
  }

  static async begin(changes: ChangeSwitch, reason: string): Promise<Hold> {
    await changes.on(reason, leaseMs);
    return new Hold(changes);
  }

  /** @throws HoldLostError where it has ended meanwhile */
  async stay(reason: string, movedTo: string | undefined): Promise<void> {
    clearInterval(this.#timer);
    try {
      await this.#switch.stay(reason, movedTo);
    } catch (error) {
      throw this.#lost(error);
    }
    this.#isKept = true;
  }

  /** Lets it be changed again, unless it is to stay so. */
  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    // Where that fails, it ends by itself.
    if (!this.#isKept) await this.#switch.off().catch(() => undefined);
  }

  #lost(cause: unknown): HoldLostError {
    const reason = cause instanceof Error ? cause.message : String(cause);
    return new HoldLostError(
      `the registry could not be kept from being changed (${reason}): run the same command again`,
      { cause },
    );
  }

  /** Where that fails, it is tried again; whether it has ended meanwhile is told in the end. */
  async #renew(): Promise<void> {
    await this.#switch.renew(leaseMs).catch(() => undefined);
  }
}
