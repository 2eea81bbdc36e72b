import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { processTree } from '../../bench/process-tree.ts';
import { freePort } from '../server/free-port.ts';
import { ServerProcess } from '../server/server-process.ts';

export const main = join(import.meta.dir, '..', '..', 'src', 'main.ts');

/** Windows so short that everything that they are for happens all the time, and so long that a push fits in. */
const squeezed = {
  'windows-lease': '2s',
  'windows-never-tagged': '2s',
  'windows-trash': '100ms',
  'windows-condemned': '50ms',
  'windows-upload': '2s',
  'collector-share': '100',
};

/** Flags of `wherry serve`, without their dashes. */
type Flags = Readonly<Record<string, string>>;

/** `wherry serve --workers N` in processes of its own, on a data directory that goes with it. */
export class WorkerProcesses implements AsyncDisposable {
  readonly directory: string;
  readonly dataDirectory: string;
  readonly origin: string;
  readonly #port: number;
  readonly #count: number;
  readonly #flags: Flags;
  #supervisor: ServerProcess | undefined;

  private constructor(directory: string, port: number, { count, flags }: { count: number; flags: Flags }) {
    this.directory = directory;
    this.dataDirectory = join(directory, 'data');
    this.origin = `http://127.0.0.1:${port}`;
    this.#port = port;
    this.#count = count;
    this.#flags = flags;
  }

  /** Starts so many, with flags beside those of the squeezed windows, or in their place. */
  static async start(count: number, flags: Flags = {}): Promise<WorkerProcesses> {
    const directory = await mkdtemp(join(tmpdir(), 'wherry-workers-'));
    const processes = new WorkerProcesses(directory, freePort(), { count, flags });
    try {
      await processes.resume();
      return processes;
    } catch (error) {
      await processes[Symbol.asyncDispose]();
      throw error;
    }
  }

  get command(): readonly [string, ...string[]] {
    const flags = Object.entries({ ...squeezed, 'log-requests': 'errors', ...this.#flags, data: this.dataDirectory });
    const listen = ['--listen', `127.0.0.1:${this.#port}`, '--workers', String(this.#count)];
    return [process.execPath, main, 'serve', ...listen, ...flags.flatMap(([name, value]) => [`--${name}`, value])];
  }

  async resume(): Promise<void> {
    this.#supervisor = await ServerProcess.start(this.#port, join(this.directory, 'log'), { command: this.command });
  }

  /** The processes that serve, without the one that supervises them. */
  get workers(): readonly number[] {
    return this.#supervisor === undefined ? [] : processTree(this.#supervisor.pid).slice(1);
  }

  get supervisor(): ServerProcess {
    if (this.#supervisor === undefined) throw new Error('nothing has been started');
    return this.#supervisor;
  }

  async log(): Promise<string> {
    return await readFile(join(this.directory, 'log'), 'utf8');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { workers } = this;
    await this.#supervisor?.kill();
    for (const pid of workers) signal(pid, 'SIGKILL');
    await rm(this.directory, { recursive: true, force: true });
  }
}

/** @returns whether the process was there */
export function signal(pid: number, name: NodeJS.Signals | 0): boolean {
  try {
    process.kill(pid, name);
    return true;
  } catch {
    return false;
  }
}
