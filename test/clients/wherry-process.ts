import { openSync, closeSync, mkdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort } from '../server/free-port.ts';

const projectDirectory = join(import.meta.dir, '..', '..');
/** Without WHERRY_… variables, by which whoever runs the tests may have configured a registry of their own. */
const plainEnvironment = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !name.startsWith('WHERRY_')),
);
const readyWithinMs = 20_000;
/** A little more than the registry gives running transfers. */
const endsWithinMs = 35_000;

/**
 * A `wherry serve` process on the loopback interface, as an operator runs it: on embedded defaults, with a data
 * directory of its own. It can be killed with -9 and started again on the same port and data.
 */
export class WherryProcess {
  /** `127.0.0.1:PORT`: what stands before the repository in a client's reference. */
  readonly host: string;
  readonly origin: string;
  readonly dataDirectory: string;
  readonly #logFile: string;
  readonly #flags: readonly string[];
  #process: Bun.Subprocess | undefined;

  /**
   * A registry whose data and log lie in `directory`; it has a port from now on, and runs once it is started, with these
   * flags besides.
   */
  constructor(directory: string, flags: readonly string[] = []) {
    this.#flags = flags;
    this.host = `127.0.0.1:${freePort()}`;
    this.origin = `http://${this.host}`;
    this.dataDirectory = join(directory, 'data');
    this.#logFile = join(directory, 'wherry.log');
    mkdirSync(directory, { recursive: true });
  }

  /** Starts the process, or starts it again on the same port and data; returns how long it took to be ready, in ms. */
  async start(): Promise<number> {
    const startedAt = performance.now();
    const log = openSync(this.#logFile, 'a');
    const spawned = Bun.spawn(
      [process.execPath, 'src/main.ts', 'serve', '--listen', this.host, '--data', this.dataDirectory, ...this.#flags],
      { cwd: projectDirectory, env: plainEnvironment, stdin: 'ignore', stdout: log, stderr: log },
    );
    closeSync(log);
    this.#process = spawned;
    while (!(await this.#isReady())) {
      if (spawned.exitCode !== null || spawned.signalCode !== null) {
        throw new Error(`wherry ended before it was ready (exit code ${spawned.exitCode}):\n${await this.logTail()}`);
      }
      if (performance.now() - startedAt > readyWithinMs) {
        throw new Error(`wherry was not ready within ${readyWithinMs} ms:\n${await this.logTail()}`);
      }
      await Bun.sleep(5);
    }
    return performance.now() - startedAt;
  }

  /** Kills the process with -9. */
  async kill(): Promise<void> {
    this.#process?.kill('SIGKILL');
    await this.#process?.exited;
  }

  /** Undefined while the process runs; afterwards, how it ended. */
  get ended(): string | undefined {
    const { exitCode, signalCode } = this.#process ?? { exitCode: null, signalCode: null };
    if (exitCode !== null) return `exit code ${exitCode}`;
    return signalCode === null ? undefined : `signal ${signalCode}`;
  }

  /** The last lines of the registry's log, for a failure's message. */
  async logTail(lines = 40): Promise<string> {
    const log = await readFile(this.#logFile, 'utf8').catch(() => '');
    return log.split('\n').slice(-lines).join('\n');
  }

  /** What the registry has logged as an error: what went wrong inside, whatever clients have made of it. */
  async loggedErrors(): Promise<readonly string[]> {
    const log = await readFile(this.#logFile, 'utf8').catch(() => '');
    return log.split('\n').filter((line) => /"level":"(error|fatal)"/.test(line));
  }

  /** Ends the process in good order, as an operator's system does; returns how it ended. */
  async stop(): Promise<string | undefined> {
    this.#process?.kill('SIGTERM');
    const timer = setTimeout(() => this.#process?.kill('SIGKILL'), endsWithinMs);
    await this.#process?.exited;
    clearTimeout(timer);
    return this.ended;
  }

  async #isReady(): Promise<boolean> {
    try {
      const answer = await fetch(`${this.origin}/readyz`, {
        signal: AbortSignal.timeout(1000),
      });
      await answer.arrayBuffer();
      return answer.status === 200;
    } catch {
      return false;
    }
  }
}
