import type { Registry } from '../registry/registry.ts';
import { endOverdue, type ReadOnlyState } from '../registry/read-only.ts';

/** How often it is looked, in ms. */
const lookEveryMs = 2000;

/** Ends a pause of all changes that nobody renews any more, as whoever has set it has died; and tells of it in the log. */
export class ReadOnlyWatch {
  readonly #registry: Registry;
  readonly #tells: boolean;
  #timer: ReturnType<typeof setInterval> | undefined;
  #looking: Promise<void> | undefined;
  /** Why nothing could be changed when it was last looked, and whether that was told. */
  #state: ReadOnlyState | undefined;

  /** @param tells whether it tells of it: of several workers, one does */
  constructor(registry: Registry, tells: boolean) {
    this.#registry = registry;
    this.#tells = tells;
  }

  /** Whether nothing could be changed when it was last looked. */
  get isOn(): boolean {
    return this.#state !== undefined;
  }

  start(): void {
    this.#timer = setInterval(() => void this.look(), lookEveryMs);
    this.#timer.unref();
  }

  /** Looks now; resolves when it has. */
  async look(): Promise<void> {
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined;
    });
    await this.#looking;
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#looking;
  }

  async #look(): Promise<void> {
    try {
      const state = await endOverdue(this.#registry);
      const was = this.#state;
      this.#state = state;
      if (this.#tells && (state?.setAt !== was?.setAt || state?.reason !== was?.reason)) this.#tell(state);
    } catch (error) {
      this.#registry.log.warn({ err: error }, 'it could not be looked whether the registry is read-only; trying again');
    }
  }

  #tell(state: ReadOnlyState | undefined): void {
    if (state === undefined) {
      this.#registry.log.info({}, 'the registry is not read-only any more');
      return;
    }
    const { reason, setBy, movedTo } = state;
    this.#registry.log.warn(
      { reason, setBy, ...(movedTo !== undefined && { movedTo }) },
      'the registry is read-only, so changes are refused and nothing is collected: "wherry readonly" says more',
    );
  }
}
