import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fsck } from '../../src/fsck/fsck.ts';
import { CannotCheckError } from '../../src/fsck/records.ts';
import { testedPostgres } from '../pairs/pair.ts';
import { PostgresReader, SqliteReader } from '../pairs/reader.ts';
import { forgetKilledProcess } from '../pairs/killed-process.ts';
import { forgetStoresBeside, storesBeside } from '../pairs/stores-beside.ts';
import { freePort } from '../server/free-port.ts';
import { ServerProcess } from '../server/server-process.ts';
import { until } from '../server/until.ts';
import type { Failure } from './failures.ts';

const hourMs = 3_600_000;
/** So soon retention looks again at a repository where that has failed, in ms. */
const longestRetryMs = 5000;
/** So long it may take at most until nothing is due, in ms: a review that fails is made again in seconds. */
const settledWithinMs = 60_000;
/** So long may what a process has claimed, which does not know that it has, keep others from it, in ms. */
const claimedMs = 5000;
/** What stays when nothing is left: what happened, which policies may prune, and what is known of the store itself. */
const tablesThatStay = new Set([
  'audit_file',
  'audit_mark',
  'event',
  'incarnation',
  'policy_approval',
  'pruned_hour',
  'pull_history',
  'purge',
  'purge_consequence',
  'purge_digest',
  'purge_place',
  'blocked',
  'push_history',
  'quota_set',
  'room_making',
  'rules_in_force',
  'schema_migration',
  'storage_sample',
  'store',
  'stored',
]);

/** Rows that do not stay, where others do: a repository of which something was pruned is looked at once more when its day is over. */
const exceptWhatStays: Readonly<Record<string, (pid: number) => string>> = {
  process: (pid) => `where name not like 'process ${pid} on %'`,
  retention_review: () => 'where repo not in (select repo from pruned_hour)',
};

/** What happens when a failure point is reached for the nth time. */
export interface Fault {
  readonly kind: 'kill' | Failure;
  readonly point: string;
  readonly nth: number;
}

/** A registry in a process of its own that fails on purpose, its data directory, and its stores on the pair under test. */
export class CrashingRegistry implements AsyncDisposable {
  readonly #directory = mkdtempSync(join(tmpdir(), 'wherry-crash-'));
  readonly data = join(this.#directory, 'data');
  readonly #stores = storesBeside(this.data);
  #wasStarted = false;
  #server: ServerProcess | undefined;
  #reader: PostgresReader | undefined;
  #hours = 0;

  /** @returns whether it is ready; false where it has ended before it was */
  async start(fault?: Fault): Promise<boolean> {
    if (this.#wasStarted) forgetKilledProcess(this.#stores.tables);
    this.#wasStarted = true;
    const port = freePort();
    const environment = {
      ...this.#stores.environment,
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
      await fetch(`${this.#server.origin}/healthz`, { keepalive: false });
      return false;
    } catch {
      await until('the process that does not answer ends', () => this.#server?.hasEnded !== false);
      return true;
    }
  }

  /** @returns whether it has ended by itself soon, as at a failure point; where it has not, it is killed where it is */
  async endsSoon(): Promise<boolean> {
    const endsWithin = async (ms: number): Promise<boolean> => {
      const deadline = performance.now() + ms;
      await until('it ends, or goes on', async () => performance.now() > deadline || (await this.hasEnded()), 2 * ms);
      return await this.hasEnded();
    };
    if (await endsWithin(claimedMs)) return true;
    if (testedPostgres !== undefined) {
      // The server may have committed a claim of the process before after that was forgotten.
      this.#freeClaims();
      if (await endsWithin(claimedMs)) return true;
    }
    await this.#server?.kill();
    return false;
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

  #freeClaims(): void {
    this.#stores.tables.change('update task set claimed_until = 0 where claimed_until > 0');
  }

  /** Resolves when the collector and the policies have done all that is due, or it cannot go on. */
  async settled(): Promise<void> {
    const server = this.#server;
    if (server === undefined) return;
    let due: readonly unknown[] = [];
    const isSettled = async (): Promise<boolean> => {
      due = await this.#due();
      return server.hasEnded || due.length === 0 || !(await isReady(server.origin));
    };
    if (testedPostgres !== undefined) {
      const deadline = performance.now() + claimedMs;
      await until('nothing is due', async () => performance.now() > deadline || (await isSettled()));
      // It has claimed something, and was not told.
      if (!(await isSettled())) this.#freeClaims();
    }
    try {
      await until('nothing is due', isSettled, settledWithinMs);
    } catch (error) {
      throw new Error(`${String(error)}, but ${JSON.stringify(due)}`, { cause: error });
    }
  }

  async #due(): Promise<readonly unknown[]> {
    const now = Date.now() + this.#hours * hourMs;
    const [due = []] = await this.#read(
      `select kind, key1, due_at - ${now} as due_in, attempts, claimed_until from task where due_at <= ${now}
       union all select 'retention', repo, due_at - ${now}, 0, 0 from retention_review where due_at <= ${now + longestRetryMs}`,
    );
    return due;
  }

  /** On a connection that stays, where that takes time: a file must not stay open when the process that has it is killed. */
  async #read(query: string): Promise<readonly (readonly unknown[])[]> {
    const url = this.#stores.settings['metadata'];
    if (url !== undefined) {
      this.#reader ??= await PostgresReader.open(url);
      return await this.#reader.read([query]);
    }
    const reader = new SqliteReader(this.data);
    try {
      return await reader.read([query]);
    } finally {
      await reader.close();
    }
  }

  /** What became of a tag that policies may prune, as the tables say at one moment. */
  fateOf(
    repo: string,
    tag: string,
  ): { readonly isThere: boolean; readonly isTrashed: boolean; readonly events: number } {
    const [row] = this.#stores.tables.rows<{ there: number; trashed: number; events: number }>(
      `select (select count(*) from tag where repo = ? and name = ?) as there,
         (select count(*) from tag_trash where repo = ? and name = ?) as trashed,
         (select count(*) from event where kind = 'tag.pruned' and repo = ? and tag = ?) as events`,
      repo,
      tag,
      repo,
      tag,
      repo,
      tag,
    );
    return { isThere: row?.there === 1, isTrashed: row?.trashed === 1, events: row?.events ?? 0 };
  }

  /** What the bytes take, with all that is being written. */
  async storedBytes(): Promise<number> {
    return await this.#stores.objects.totalBytes();
  }

  /** Tables with rows, objects, parts and uploads, that are there though nothing should be. */
  async leftovers(): Promise<readonly string[]> {
    const { tables, objects } = this.#stores;
    const pid = this.#server?.pid ?? 0;
    const looks = tables
      .names()
      .filter((name) => !tablesThatStay.has(name))
      .map(
        (name) =>
          `select '${name}' as name where exists (select 1 from "${name}" ${exceptWhatStays[name]?.(pid) ?? ''})`,
      );
    const full = tables.rows<{ name: string }>(looks.join(' union all '));
    return [...full.map(({ name }) => name), ...(await objects.names())];
  }

  /** What an independent check finds, blobs read, as `severity code about: message`; no object may be without a row. */
  async findings(): Promise<readonly string[]> {
    if (testedPostgres === undefined && !existsSync(join(this.data, 'wherry.db'))) return [];
    const rehash = { bytesPerSecond: 1e9, from: '' };
    try {
      const found = await Array.fromAsync(fsck({ ...this.#stores.places, orphanAgeMs: 0, rehash }));
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
    await this.#reader?.close();
    forgetStoresBeside(this.data);
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
