import type { Registry } from '../registry/registry.ts';
import { endOverdue } from '../registry/read-only.ts';

/** How often it is looked, in ms. */
const lookEveryMs = 2000;

/** Ends a pause of all changes that nobody renews any more: whoever has set it has died. */
export class ReadOnlyWatch {
  readonly #registry: Registry;
  #timer: ReturnType<typeof setInterval> | undefined;
  #looking: Promise<void> | undefined;
  #isOn = false;

  constructor(registry: Registry) {
    this.#registry = registry;
  }

  /** Whether nothing could be changed when it was last looked. */
  get isOn(): boolean {
    return this.#isOn;
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
      this.#isOn = await endOverdue(this.#registry);
    } catch (error) {
      this.#registry.log.warn({ err: error }, 'it could not be looked whether the registry is read-only; trying again');
    }
  }
}
