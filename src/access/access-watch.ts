import type { Log } from '../log/log.ts';

/** How often the file is looked at, in ms. */
const lookEveryMs = 2000;
/** No log has more lines of what is wrong with one version. */
const mostProblems = 10;

/** What a configuration says of who may do what, as it was read now. */
export type AccessReading<Rules> =
  { readonly ok: true; readonly rules: Rules } | { readonly ok: false; readonly problems: readonly string[] };

/** Where the access rules are read from. */
export interface AccessSource<Rules> {
  /** Changes with every change of the file, through symbolic links too. */
  version(): Promise<string>;
  read(): Promise<AccessReading<Rules>>;
}

export interface AccessWatchParts<Rules> {
  readonly source: AccessSource<Rules>;
  readonly log: Log;
  /** Has them decide from now on. @returns why they cannot; undefined where they do */
  readonly adopt: (rules: Rules) => Promise<string | undefined>;
}

/**
 * Reads the access rules again when their file changes. A version that makes no sense changes nothing: those of before go
 * on deciding, and the log says what is wrong.
 */
export class AccessWatch<Rules> {
  readonly #parts: AccessWatchParts<Rules>;
  /** The version that was looked at last; undefined until the first look. */
  #seen: string | undefined;
  #timer: Timer | undefined;
  #looking: Promise<void> | undefined;

  constructor(parts: AccessWatchParts<Rules>) {
    this.#parts = parts;
  }

  start(): void {
    this.#timer = setInterval(() => void this.look(), lookEveryMs);
    this.#timer.unref();
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#looking;
  }

  /** Reads the file if it has changed since it was read last. One look at a time. */
  async look(): Promise<void> {
    this.#looking ??= this.#look(false).finally(() => (this.#looking = undefined));
    await this.#looking;
  }

  /** Reads the file whether it has changed or not. */
  async reload(): Promise<void> {
    await this.#looking;
    this.#looking = this.#look(true).finally(() => (this.#looking = undefined));
    await this.#looking;
  }

  async #look(isAsked: boolean): Promise<void> {
    const { source, log, adopt } = this.#parts;
    try {
      const version = await source.version();
      if (version === this.#seen && !isAsked) return;
      this.#seen = version;
      const reading = await source.read();
      const problems = reading.ok ? await this.#adopted(adopt, reading.rules) : reading.problems;
      if (problems.length === 0) return;
      log.error(
        { problems: problems.slice(0, mostProblems) },
        'the configuration has changed and its access rules are not taken: those of before go on deciding, mend it',
      );
    } catch (error) {
      const version = `unreadable: ${error instanceof Error ? error.message : String(error)}`;
      if (version === this.#seen && !isAsked) return;
      this.#seen = version;
      log.error({ err: error }, 'the configuration cannot be read: the access rules of before go on deciding');
    }
  }

  async #adopted(adopt: AccessWatchParts<Rules>['adopt'], rules: Rules): Promise<readonly string[]> {
    const problem = await adopt(rules);
    return problem === undefined ? [] : [problem];
  }
}
