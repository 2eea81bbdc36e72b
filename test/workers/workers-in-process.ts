import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLog, type Log } from '../../src/log/log.ts';
import type { Clock } from '../../src/registry/clock.ts';
import type { PolicySet } from '../../src/retention/policy-set.ts';
import { type RunningServer, startServer } from '../../src/server/server.ts';
import type { Syncs } from '../../src/stores/syncs.ts';
import type { SupervisorMessage, WorkerMessage } from '../../src/workers/messages.ts';
import { Supervisor, type WorkerProcess } from '../../src/workers/supervisor.ts';
import { type ParentChannel, WorkerLink } from '../../src/workers/worker-link.ts';
import { configFrom } from '../server/config-from.ts';

/** What a test has of each worker. */
interface Worker {
  readonly index: number;
  readonly server: RunningServer;
}

interface WorkersParts {
  readonly syncsOf?: (index: number) => Syncs | undefined;
  readonly clock?: Clock;
  readonly policies?: PolicySet;
}

/**
 * Workers of one registry, all inside the test's process, with the supervisor that carries what they tell each other.
 * Unlike real ones each has a port of its own, so that a test can choose which is asked.
 */
export class WorkersInProcess implements AsyncDisposable {
  readonly directory = mkdtempSync(join(tmpdir(), 'wherry-workers-'));
  readonly logged: string[] = [];
  readonly #workers: Worker[] = [];
  readonly #settings: Readonly<Record<string, string>>;
  readonly #syncsOf: (index: number) => Syncs | undefined;
  readonly #clock: Clock | undefined;
  readonly #policies: PolicySet | undefined;

  private constructor(settings: Readonly<Record<string, string>>, { syncsOf, clock, policies }: WorkersParts) {
    this.#settings = settings;
    this.#syncsOf = syncsOf ?? (() => undefined);
    this.#clock = clock;
    this.#policies = policies;
  }

  static async start(
    count: number,
    settings: Readonly<Record<string, string>> = {},
    parts: WorkersParts = {},
  ): Promise<WorkersInProcess> {
    const workers = new WorkersInProcess(settings, parts);
    const stream = { write: (line: string) => void workers.logged.push(line) };
    const log = await createLog({ level: 'warn', format: 'json', stream });
    const supervisor = new Supervisor({
      count,
      log,
      drainMs: 1000,
      start: (index, receive) => workers.#begin(index, receive, log),
    });
    await supervisor.start();
    workers.#workers.sort((one, other) => one.index - other.index);
    return workers;
  }

  /** Where one of them listens: `http://127.0.0.1:PORT` */
  originOf(index: number): string {
    return this.#workers[index]?.server.url ?? '';
  }

  /** Sends a request to one of them. */
  async send(index: number, path: string, init: RequestInit = {}): Promise<Response> {
    return await fetch(new URL(path, this.originOf(index)), init);
  }

  get operatorToken(): string {
    return readFileSync(join(this.directory, 'admin.token'), 'utf8').trim();
  }

  /** The files of objects, by their names. */
  get objects(): readonly string[] {
    const paths = readdirSync(join(this.directory, 'objects'), { recursive: true, encoding: 'utf8' });
    return paths.filter((path) => path.includes('/')).toSorted();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#workers.map(({ server }) => server.stop()));
    rmSync(this.directory, { recursive: true });
  }

  #begin(index: number, receive: (message: unknown) => void, log: Log): WorkerProcess {
    let deliver: (message: unknown) => void = () => undefined;
    // As between processes: nothing is shared, and it comes later.
    const later = (take: (message: unknown) => void, message: SupervisorMessage | WorkerMessage): void => {
      const copy: unknown = structuredClone(message);
      setImmediate(() => take(copy));
    };
    const channel: ParentChannel = {
      send: (message) => later(receive, message),
      onMessage: (take) => {
        deliver = take;
      },
      onGone: () => undefined,
    };
    const lock = { [Symbol.dispose]: () => undefined };
    const link = new WorkerLink(channel, { end: () => undefined, lock, log });
    void this.#serve(index, link, log);
    return {
      pid: process.pid,
      ended: Promise.withResolvers<number>().promise,
      send: (message) => later((copy) => deliver(copy), message),
      kill: () => undefined,
    };
  }

  async #serve(index: number, link: WorkerLink, log: Log): Promise<void> {
    const place = await link.place();
    const config = await configFrom({
      data: this.directory,
      listen: '127.0.0.1:0',
      'http.drain': '1s',
      ...this.#settings,
    });
    const syncs = this.#syncsOf(index);
    const server = await startServer({
      config,
      log,
      policies: this.#policies,
      worker: { ...place, ports: [], isFirst: true, link },
      ...(syncs !== undefined && { syncs }),
      ...(this.#clock !== undefined && { clock: this.#clock }),
    });
    this.#workers.push({ index, server });
  }
}
