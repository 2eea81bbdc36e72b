import { Database } from 'bun:sqlite';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fsck } from '../../src/fsck/fsck.ts';
import { CannotCheckError } from '../../src/fsck/records.ts';
import { freePort, ServerProcess } from '../server/server-process.ts';
import { until } from '../server/until.ts';

const hourMs = 3_600_000;
/** So soon retention looks again at a repository where that has failed, in ms. */
const longestRetryMs = 5000;
/** What stays when nothing is left: what happened, which policies may prune, and what is known of the store itself. */
const tablesThatStay = new Set([
  'audit_mark',
  'event',
  'policy_approval',
  'pruned_hour',
  'pull_history',
  'purge',
  'purge_consequence',
  'purge_digest',
  'purge_place',
  'blocked',
  'push_history',
  'rules_in_force',
  'storage_sample',
  'store',
  'stored',
]);

/** Rows that stay with others: a repository of which something was pruned is looked at once more when its day is over. */
const ofWhatStays: Readonly<Record<string, string>> = {
  retention_review: 'where repo not in (select repo from pruned_hour)',
};

/** What happens when a failure point is reached for the nth time. */
export interface Fault {
  readonly kind: 'kill' | 'ENOSPC' | 'EIO';
  readonly point: string;
  readonly nth: number;
}

/** A registry in a process of its own that fails on purpose, and its data directory. */
export class CrashingRegistry implements AsyncDisposable {
  readonly #directory = mkdtempSync(join(tmpdir(), 'wherry-crash-'));
  readonly data = join(this.#directory, 'data');
  #server: ServerProcess | undefined;
  #hours = 0;

  /** @returns whether it is ready; false where it has ended before it was */
  async start(fault?: Fault): Promise<boolean> {
    const port = await freePort();
    const environment = {
      CRASH_DATA: this.data,
      CRASH_LISTEN: `127.0.0.1:${port}`,
      CRASH_REACHED: join(this.#directory, 'reached'),
      CRASH_CLOCK_MS: String(this.#hours * hourMs),
      ...(fault === undefined
        ? {}
        : { CRASH_FAULT: fault.kind, CRASH_POINT: fault.point, CRASH_NTH: String(fault.nth) }),
    };
    const command = [process.execPath, join(import.meta.dir, 'faulty-server.ts')] as const;
    try {
      this.#server = await ServerProcess.start(port, join(this.#directory, 'log'), { command, environment });
      return true;
    } catch (error) {
      if (fault === undefined) throw error;
      return false;
    }
  }

  get origin(): string {
    if (this.#server === undefined) throw new Error('the registry is not running');
    return this.#server.origin;
  }

  /** Asks the admin API for something under /admin/v1. */
  async admin(method: string, path: string, body?: object): Promise<Response> {
    const authorization = `Bearer ${readFileSync(join(this.data, 'admin.token'), 'utf8').trim()}`;
    const init = { method, headers: { authorization }, ...(body && { body: JSON.stringify(body) }) };
    return await fetch(`${this.origin}/admin/v1${path}`, init);
  }

  /** Every failure point that it has reached since the beginning, in order. */
  reached(): readonly string[] {
    return readFileSync(join(this.#directory, 'reached'), 'utf8').split('\n').slice(0, -1);
  }

  log(): string {
    return readFileSync(join(this.#directory, 'log'), 'utf8');
  }

  /** Whether the process is over, or about to be. */
  async hasEnded(): Promise<boolean> {
    if (this.#server === undefined || this.#server.hasEnded) return true;
    try {
      await fetch(`${this.#server.origin}/healthz`);
      return false;
    } catch {
      await until('the process that does not answer ends', () => this.#server?.hasEnded !== false);
      return true;
    }
  }

  /** Moves its clock on by an hour; resolves when nothing is due any more, or it cannot go on. */
  async hourPasses(): Promise<void> {
    const server = this.#server;
    if (server === undefined || server.hasEnded) return;
    const hoursSeen = (): number => this.reached().filter((line) => line === 'an hour').length;
    const before = hoursSeen();
    process.kill(server.pid, 'SIGUSR2');
    await until('the hour has passed', () => hoursSeen() > before || server.hasEnded);
    this.#hours++;
    await this.settled();
  }

  /** Resolves when the collector and the policies have done all that is due, or it cannot go on. */
  async settled(): Promise<void> {
    const server = this.#server;
    if (server === undefined) return;
    await until('nothing is due', async () => server.hasEnded || !this.#isAnyDue() || !(await isReady(server.origin)));
  }

  #isAnyDue(): boolean {
    const now = Date.now() + this.#hours * hourMs;
    const tasks = this.#rows('select 1 from task where due_at <= ?', now);
    return tasks + this.#rows('select 1 from retention_review where due_at <= ?', now + longestRetryMs) > 0;
  }

  /** What became of a tag that policies may prune, as the tables say at one moment. */
  fateOf(
    repo: string,
    tag: string,
  ): { readonly isThere: boolean; readonly isTrashed: boolean; readonly events: number } {
    using database = new Database(join(this.data, 'wherry.db'), { readonly: true });
    const row = database
      .query<{ there: number; trashed: number; events: number }, Record<string, string>>(
        `select (select count(*) from tag where repo = $repo and name = $tag) as there,
           (select count(*) from tag_trash where repo = $repo and name = $tag) as trashed,
           (select count(*) from event where kind = 'tag.pruned' and repo = $repo and tag = $tag) as events`,
      )
      .get({ $repo: repo, $tag: tag });
    return { isThere: row?.there === 1, isTrashed: row?.trashed === 1, events: row?.events ?? 0 };
  }

  #rows(sql: string, ...parameters: number[]): number {
    const database = new Database(join(this.data, 'wherry.db'), { readonly: true });
    try {
      return database.query(sql).all(...parameters).length;
    } finally {
      database.close();
    }
  }

  /** Tables with rows, and files, that are there though nothing should be. */
  leftovers(): readonly string[] {
    const database = new Database(join(this.data, 'wherry.db'), { readonly: true });
    const tables = database
      .query<{ name: string }, []>(`select name from sqlite_schema where type = 'table' and name not like 'sqlite_%'`)
      .all();
    database.close();
    const full = tables
      .map(({ name }) => name)
      .filter(
        (name) => !tablesThatStay.has(name) && this.#rows(`select 1 from "${name}" ${ofWhatStays[name] ?? ''}`) > 0,
      );
    const files = readdirSync(join(this.data, 'objects'), { recursive: true, encoding: 'utf8' });
    return [...full, ...files.filter((name) => /[0-9a-f]{32}$/.test(name))];
  }

  /** What an independent check finds, blobs read, as `severity code about: message`; no file may be without a row. */
  async findings(): Promise<readonly string[]> {
    if (!existsSync(join(this.data, 'wherry.db'))) return [];
    const rehash = { bytesPerSecond: 1e9, from: '' };
    try {
      const found = await Array.fromAsync(fsck({ dataDirectory: this.data, orphanAgeMs: 0, rehash }));
      return found.map(({ severity, code, about, message }) => `${severity} ${code} ${about}: ${message}`);
    } catch (error) {
      // Its first start was cut short.
      if (error instanceof CannotCheckError) return [];
      throw error;
    }
  }

  /** @returns its exit code */
  async stop(): Promise<number> {
    return (await this.#server?.stop()) ?? 0;
  }

  /** Stops it. It may come to the failure point only then, as some things are written down at other times in each run. */
  async isKilledAsItStops(): Promise<boolean> {
    try {
      await this.stop();
      return false;
    } catch (error) {
      if (this.#server?.hasEnded === true) return true;
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server?.kill();
    rmSync(this.#directory, { recursive: true });
  }
}

async function isReady(origin: string): Promise<boolean> {
  try {
    return (await fetch(`${origin}/readyz`)).status === 200;
  } catch {
    return true;
  }
}
