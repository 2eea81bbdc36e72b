import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from './free-port.ts';
import { ServerProcess } from './server-process.ts';

/** A server in a process of its own on an empty data directory, which goes with it. */
export class FreshServer implements AsyncDisposable {
  /** The data directory is `data` in it. */
  readonly directory: string;
  readonly port: number;
  readonly #server: ServerProcess;

  private constructor(directory: string, port: number, server: ServerProcess) {
    this.directory = directory;
    this.port = port;
    this.#server = server;
  }

  /** @param flags of `wherry serve`, beside where it listens and keeps its data */
  static async start(...flags: readonly string[]): Promise<FreshServer> {
    return await FreshServer.startIn({}, ...flags);
  }

  /** @param environment what it finds there, beyond what this process does */
  static async startIn(
    environment: Readonly<Record<string, string>>,
    ...flags: readonly string[]
  ): Promise<FreshServer> {
    const directory = await mkdtemp(join(tmpdir(), 'wherry-fresh-'));
    const port = freePort();
    const where = ['--listen', `127.0.0.1:${port}`, '--data', join(directory, 'data')];
    try {
      const server = await ServerProcess.start(port, join(directory, 'log'), {
        command: [process.execPath, 'src/main.ts', 'serve', ...where, ...flags],
        environment,
      });
      return new FreshServer(directory, port, server);
    } catch (error) {
      await rm(directory, { recursive: true });
      throw error;
    }
  }

  /** `http://127.0.0.1:PORT` */
  get origin(): string {
    return this.#server.origin;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server[Symbol.asyncDispose]();
    await rm(this.directory, { recursive: true });
  }
}
