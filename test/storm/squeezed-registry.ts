import { Database } from 'bun:sqlite';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../server/free-port.ts';
import { ServerProcess } from '../server/server-process.ts';

const main = join(import.meta.dir, '..', '..', 'src', 'main.ts');

/** Windows so short that everything that they are for happens all the time, and so long that a push fits in. */
export const squeezed = {
  'windows-lease': '2s',
  'windows-never-tagged': '2s',
  'windows-trash': '100ms',
  'windows-condemned': '50ms',
  'windows-upload': '2s',
  // As if there were no requests: it is to meet as many of them as it can.
  'collector-share': '100',
};

/** `wherry serve` in a process of its own, on an empty data directory that goes with it, with squeezed windows. */
export class SqueezedRegistry implements AsyncDisposable {
  readonly directory: string;
  readonly dataDirectory: string;
  readonly origin: string;
  readonly origins: readonly string[];
  readonly #port: number;
  readonly #windows: Readonly<Record<string, string>>;
  #server: ServerProcess | undefined;

  private constructor(directory: string, windows: Readonly<Record<string, string>>) {
    this.directory = directory;
    this.dataDirectory = join(directory, 'data');
    this.#port = Number(process.env['STORM_PORT'] ?? freePort());
    this.origin = `http://127.0.0.1:${this.#port}`;
    this.origins = [this.origin];
    this.#windows = { ...squeezed, ...windows };
  }

  /** Starts a registry; `windows` has what differs from the squeezed ones. */
  static async start(windows: Readonly<Record<string, string>> = {}): Promise<SqueezedRegistry> {
    const registry = new SqueezedRegistry(await mkdtemp(join(tmpdir(), 'wherry-storm-')), windows);
    try {
      await registry.resume();
      return registry;
    } catch (error) {
      await registry[Symbol.asyncDispose]();
      throw error;
    }
  }

  async resume(): Promise<void> {
    const flags = { ...this.#windows, 'log-format': 'json', 'log-requests': 'errors', data: this.dataDirectory };
    const command: [string, ...string[]] = [process.execPath, main, 'serve', '--listen', `127.0.0.1:${this.#port}`];
    for (const [name, value] of Object.entries(flags)) command.push(`--${name}`, value);
    this.#server = await ServerProcess.start(this.#port, join(this.directory, 'log'), { command });
  }

  /** Kills it with -9. */
  async kill(): Promise<void> {
    await this.#server?.kill();
  }

  /** Ends it in good order. */
  async stop(): Promise<void> {
    const code = await this.#server?.stop();
    if (code !== 0) throw new Error(`the registry ended with ${code}`);
  }

  /** Changes the database behind its back, while it is stopped. */
  change(...statements: readonly string[]): void {
    using database = new Database(join(this.dataDirectory, 'wherry.db'), { readwrite: true });
    for (const statement of statements) database.run(statement);
  }

  async loggedErrors(): Promise<readonly string[]> {
    const log = await readFile(join(this.directory, 'log'), 'utf8');
    return log.split('\n').filter((line) => line !== '' && !/"level":"?(info|warn|30|40)/.test(line));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server?.kill();
    await rm(this.directory, { recursive: true, force: true });
  }
}
