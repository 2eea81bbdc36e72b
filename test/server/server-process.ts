import { closeSync, openSync } from 'node:fs';
import { readFile } from 'node:fs/promises';

const readyWithinMs = 60_000;
const endsWithinMs = 20_000;
const betweenProbesMs = 10;

/** How to start a server: its program and arguments, and the environment beyond this process's own. */
export interface ServerCommand {
  readonly command: readonly [string, ...string[]];
  readonly environment?: Readonly<Record<string, string>>;
}

/** A registry in a process of its own. It is killed, if it still runs, when its owner is done with it. */
export class ServerProcess implements AsyncDisposable {
  /** `http://127.0.0.1:PORT` */
  readonly origin: string;
  readonly #process: Bun.Subprocess;
  readonly #logFile: string;

  private constructor(origin: string, child: Bun.Subprocess, logFile: string) {
    this.origin = origin;
    this.#process = child;
    this.#logFile = logFile;
  }

  /**
   * Starts a server that listens on `127.0.0.1:port`; it is ready when this resolves. What it prints is appended to
   * `logFile`.
   *
   * @throws if it ends, or is not ready within 20 s, with what it printed last
   */
  static async start(port: number, logFile: string, { command, environment }: ServerCommand): Promise<ServerProcess> {
    const log = openSync(logFile, 'a');
    const child = Bun.spawn([...command], {
      env: { ...process.env, ...environment },
      stdin: 'ignore',
      stdout: log,
      stderr: log,
    });
    closeSync(log);
    const server = new ServerProcess(`http://127.0.0.1:${port}`, child, logFile);
    try {
      await server.#untilReady();
      return server;
    } catch (error) {
      await server[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** The id of the process that was started. */
  get pid(): number {
    return this.#process.pid;
  }

  /** Whether the process is over, however it ended. */
  get hasEnded(): boolean {
    return this.#process.exitCode !== null || this.#process.signalCode !== null;
  }

  /**
   * Asks the server to end and waits until it has.
   *
   * @returns its exit code
   * @throws if a signal ended it, or it goes on for longer than 20 s
   */
  async stop(): Promise<number> {
    this.#process.kill('SIGTERM');
    const code = await Promise.race([this.#process.exited, Bun.sleep(endsWithinMs).then(() => undefined)]);
    if (code === undefined)
      throw new Error(`the server goes on ${endsWithinMs} ms after SIGTERM\n${await this.#tail()}`);
    if (this.#process.signalCode !== null) throw new Error(`the server was ended by ${this.#process.signalCode}`);
    return code;
  }

  /** Kills the server with -9; resolves once it is gone. */
  async kill(): Promise<void> {
    this.#process.kill('SIGKILL');
    await this.#process.exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }

  async #untilReady(): Promise<void> {
    const startedAtMs = performance.now();
    while (!(await this.#isReady())) {
      if (this.hasEnded) {
        throw new Error(`the server ended before it was ready\n${await this.#tail()}`);
      }
      if (performance.now() - startedAtMs > readyWithinMs) {
        throw new Error(`the server was not ready within ${readyWithinMs} ms\n${await this.#tail()}`);
      }
      await Bun.sleep(betweenProbesMs);
    }
  }

  async #isReady(): Promise<boolean> {
    try {
      const answer = await fetch(`${this.origin}/readyz`, { signal: AbortSignal.timeout(1000) });
      return answer.status === 200;
    } catch {
      return false;
    }
  }

  async #tail(): Promise<string> {
    const log = await readFile(this.#logFile, 'utf8');
    return log.split('\n').slice(-40).join('\n');
  }
}
