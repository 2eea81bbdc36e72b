import { mkdirSync, mkdtempSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../server/free-port.ts';
import { ServerProcess } from '../server/server-process.ts';
import { squeezed } from '../storm/squeezed-registry.ts';

const main = join(import.meta.dir, '..', '..', 'src', 'main.ts');

/** Of one process, by its number from 0. */
type Flags = (index: number) => Readonly<Record<string, string>>;

/** One of the processes: its place, and the process while it runs. */
interface Place {
  readonly port: number;
  readonly dataDirectory: string;
  readonly logFile: string;
  server: ServerProcess | undefined;
}

/** Several `wherry serve` on one database and one bucket, with squeezed windows; each keeps its port when it is killed. */
export class SeveralProcesses implements AsyncDisposable {
  readonly directory = mkdtempSync(join(tmpdir(), 'wherry-several-'));
  readonly origins: readonly string[];
  readonly #places: readonly Place[];
  readonly #ended: string[] = [];
  readonly #flags: Flags;
  readonly #environment: Readonly<Record<string, string>>;

  private constructor(count: number, flags: Flags, environment: Readonly<Record<string, string>>) {
    this.#flags = flags;
    this.#environment = environment;
    this.#places = Array.from({ length: count }, (_unused, index) => {
      const dataDirectory = join(this.directory, `data-${index}`);
      mkdirSync(dataDirectory);
      const logFile = join(this.directory, `log-${index}`);
      return { port: freePort(), dataDirectory, logFile, server: undefined };
    });
    this.origins = this.#places.map(({ port }) => `http://127.0.0.1:${port}`);
  }

  /** Starts so many at once, each with flags of `wherry serve` beside the squeezed windows, and an environment beside this one's. */
  static async start(
    count: number,
    flags: Flags,
    environment: Readonly<Record<string, string>>,
  ): Promise<SeveralProcesses> {
    const processes = new SeveralProcesses(count, flags, environment);
    try {
      await Promise.all(processes.#places.map((place) => processes.#start(place)));
      return processes;
    } catch (error) {
      await processes[Symbol.asyncDispose]();
      throw error;
    }
  }

  get count(): number {
    return this.#places.length;
  }

  /** The logs of those that have ended though nobody has ended them. */
  get endedByThemselves(): readonly string[] {
    return [
      ...this.#ended,
      ...this.#places.filter(({ server }) => server?.hasEnded === true).map(({ logFile }) => logFile),
    ];
  }

  /** Kills one of them with -9. */
  async kill(index: number): Promise<void> {
    const place = this.#places[index];
    if (place?.server?.hasEnded === true) this.#ended.push(place.logFile);
    await place?.server?.kill();
  }

  /** Starts one that was killed. */
  async resume(index: number): Promise<void> {
    const place = this.#places[index];
    if (place !== undefined) await this.#start(place);
  }

  /** Asks the admin API of one of them for something under /admin/v1, as its operator. */
  async admin(path: string, body: object): Promise<Response> {
    const [{ port, dataDirectory } = { port: 0, dataDirectory: '' }] = this.#places;
    const token = (await readFile(join(dataDirectory, 'admin.token'), 'utf8')).trim();
    return await fetch(`http://127.0.0.1:${port}/admin/v1${path}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
  }

  /** Ends all in good order. */
  async stop(): Promise<void> {
    const codes = await Promise.all(this.#places.map(async ({ server }) => await server?.stop()));
    if (codes.some((code) => code !== 0)) throw new Error(`the processes ended with ${codes.join(', ')}`);
  }

  /** What they have logged as errors. */
  async loggedErrors(): Promise<readonly string[]> {
    const logs = await Promise.all(this.#places.map(({ logFile }) => readFile(logFile, 'utf8')));
    return logs
      .flatMap((log) => log.split('\n'))
      .filter((line) => line !== '' && !/"level":"?(info|warn|30|40)/.test(line));
  }

  async #start(place: Place): Promise<void> {
    const { port, dataDirectory, logFile } = place;
    const own = this.#flags(this.#places.indexOf(place));
    const flags = { ...squeezed, 'log-format': 'json', 'log-requests': 'errors', data: dataDirectory, ...own };
    const command: [string, ...string[]] = [process.execPath, main, 'serve', '--listen', `127.0.0.1:${port}`];
    for (const [name, value] of Object.entries(flags)) command.push(`--${name}`, value);
    place.server = await ServerProcess.start(port, logFile, { command, environment: this.#environment });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#places.map(async ({ server }) => await server?.kill()));
    await rm(this.directory, { recursive: true, force: true });
  }
}
