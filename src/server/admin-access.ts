import { randomBytes } from 'node:crypto';
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import type { Log } from '../log/log.ts';

/** How often it is looked whether commands find a server, in ms. */
const lookEveryMs = 5000;

/**
 * How the operator's programs find the server that runs on a data directory and prove that they may administer it:
 * `server.url` says where it listens, and `admin.token`, which only its user can read, is the password of this run.
 *
 * With PostgreSQL several may share a data directory, so `server.process` says which process it is. The files are then of the
 * one that has written them last, and once it has ended, one of the others puts its own there. Of a process of another
 * machine, or container, that cannot be seen: its files stay until it removes them.
 */
export class AdminAccess {
  readonly token: string;
  readonly #directory: string;
  readonly #log: Log;
  readonly #isShared: boolean;
  readonly #process: string;
  readonly #isRunning: (process: string) => boolean;
  #own: ServerAddress | undefined;
  #timer: ReturnType<typeof setInterval> | undefined;
  /** Whether the last try to write the files has failed, so that it is told once. */
  #hasFailed = false;

  constructor({
    directory,
    log,
    isShared,
    token = randomBytes(32).toString('base64url'),
    ownProcess = nameOfThisProcess(),
    isRunning = isProcessRunning,
  }: AdminAccessParts) {
    this.token = token;
    this.#directory = directory;
    this.#log = log;
    this.#isShared = isShared;
    this.#process = ownProcess;
    this.#isRunning = isRunning;
  }

  /**
   * Tells where it is asked, and sees to it that some server that runs can be found from here on. A full disk keeps no server
   * from starting: the commands that need these files say that they are not there.
   */
  tell(origin: string): void {
    this.#own = { origin: reachable(origin), token: this.token };
    this.#write(this.#own);
    if (!this.#isShared) return;
    this.#timer = setInterval(() => this.look(), lookEveryMs);
    this.#timer.unref();
  }

  /** Puts its own files there where none of a process that runs are. */
  look(): void {
    // Withdrawn meanwhile, or never told.
    if (this.#own === undefined) return;
    const there = serverIn(this.#directory);
    const isOwn = there?.token === this.token;
    if (isOwn ? there.origin === this.#own.origin : there !== undefined && this.#isOtherRunning()) return;
    this.#write(this.#own);
  }

  /** Takes the files away, unless another server has put its own there. */
  withdraw(): void {
    clearInterval(this.#timer);
    this.#own = undefined;
    if (textIn(tokenPath(this.#directory)) !== this.token) return;
    for (const pathIn of [urlPath, tokenPath, processPath]) rmSync(pathIn(this.#directory), { force: true });
  }

  /** One of an earlier version does not say which process it is. */
  #isOtherRunning(): boolean {
    const process = textIn(processPath(this.#directory));
    return process === undefined || this.#isRunning(process);
  }

  /** Each aside and then in place, so that nobody reads half of one; anew, so that none has the rights of an older file. */
  #write({ origin, token }: ServerAddress): void {
    try {
      for (const [path, text] of [
        [tokenPath(this.#directory), token],
        ...(this.#isShared ? ([[processPath(this.#directory), this.#process]] as const) : []),
        [urlPath(this.#directory), origin],
      ] as const) {
        const aside = `${path}.${randomBytes(4).toString('hex')}`;
        writeFileSync(aside, `${text}\n`, { mode: path === tokenPath(this.#directory) ? 0o600 : 0o644, flag: 'wx' });
        renameSync(aside, path);
      }
      this.#hasFailed = false;
    } catch (error) {
      if (!this.#hasFailed)
        this.#log.warn({ err: error }, 'the admin API cannot be used: its token could not be written');
      this.#hasFailed = true;
    }
  }
}

export interface AdminAccessParts {
  readonly directory: string;
  readonly log: Log;
  /** Whether other servers may be running on the data directory. */
  readonly isShared: boolean;
  readonly token?: string | undefined;
  /** Which process this is, and whether one runs, by what its file says; true where that cannot be seen from here. */
  readonly ownProcess?: string;
  readonly isRunning?: (process: string) => boolean;
}

export interface ServerAddress {
  readonly origin: string;
  readonly token: string;
}

/** What a running server has left in its data directory; undefined where it has not, or where this user may not read it. */
export function serverIn(directory: string): ServerAddress | undefined {
  const [origin, token] = [textIn(urlPath(directory)), textIn(tokenPath(directory))];
  return origin === undefined || token === undefined ? undefined : { origin, token };
}

/** How long a server may take to say that it is there, in ms. */
const answersMs = 5000;

/** Whether it is there, and gives this run's operator an answer: a server that was killed leaves its files behind. */
export async function answersOperator({ origin, token }: ServerAddress): Promise<boolean> {
  try {
    const headers = { authorization: `Bearer ${token}` };
    return (await fetch(`${origin}/admin/v1/collector`, { headers, signal: AbortSignal.timeout(answersMs) })).ok;
  } catch {
    return false;
  }
}

/** The process, and the machine or container in which its number means something. */
function nameOfThisProcess(): string {
  return `${process.pid} ${thisHost()}`;
}

function isProcessRunning(name: string): boolean {
  const [, pid, host] = /^(\d+) (.+)$/.exec(name) ?? [];
  if (pid === undefined || host !== thisHost()) return true;
  try {
    process.kill(Number(pid), 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}

/** Another one after each start of the machine, where the system says so. */
function thisHost(): string {
  return `${hostname()} ${textIn('/proc/sys/kernel/random/boot_id') ?? ''}`.trim();
}

function textIn(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return undefined;
  }
}

function processPath(directory: string): string {
  return join(directory, 'server.process');
}

function urlPath(directory: string): string {
  return join(directory, 'server.url');
}

function tokenPath(directory: string): string {
  return join(directory, 'admin.token');
}

/** A server that listens everywhere is called on this machine. */
function reachable(origin: string): string {
  const url = new URL(origin);
  if (url.hostname === '0.0.0.0') url.hostname = '127.0.0.1';
  if (url.hostname === '[::]') url.hostname = '[::1]';
  return url.origin;
}
