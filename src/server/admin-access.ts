import { randomBytes } from 'node:crypto';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Log } from '../log/log.ts';

/** How often it is looked whether commands find a server, in ms. */
const lookEveryMs = 5000;

/**
 * How the operator's programs find the server that runs on a data directory and prove that they may administer it:
 * `server.url` says where it listens, `admin.token`, which only its user can read, is the password of this run.
 *
 * With PostgreSQL several may share a data directory. The files are then of the one that has written them last, and once it
 * has ended, or answers no more, one of the others puts its own there.
 */
export class AdminAccess {
  readonly token: string;
  readonly #directory: string;
  readonly #log: Log;
  readonly #answers: (server: ServerAddress) => Promise<boolean>;
  #own: ServerAddress | undefined;
  #timer: ReturnType<typeof setInterval> | undefined;
  #looking: Promise<void> | undefined;
  /** Whether the last try to write the files has failed, so that it is told once. */
  #hasFailed = false;

  constructor({
    directory,
    log,
    token = randomBytes(32).toString('base64url'),
    answers = answersOperator,
  }: AdminAccessParts) {
    this.token = token;
    this.#directory = directory;
    this.#log = log;
    this.#answers = answers;
  }

  /**
   * Tells where it is asked, and sees to it that some server that runs can be found from here on. A full disk keeps no server
   * from starting: the commands that need these files say that they are not there.
   */
  tell(origin: string): void {
    this.#own = { origin: reachable(origin), token: this.token };
    this.#write(this.#own);
    this.#timer = setInterval(() => void this.look(), lookEveryMs);
    this.#timer.unref();
  }

  /** Puts its own files there where none that runs can be found by those that there are; resolves when it has looked. */
  async look(): Promise<void> {
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined;
    });
    await this.#looking;
  }

  /** Takes the files away, unless another server has put its own there. */
  withdraw(): void {
    clearInterval(this.#timer);
    this.#own = undefined;
    if (!this.#isTokenOwn()) return;
    rmSync(urlPath(this.#directory), { force: true });
    rmSync(tokenPath(this.#directory), { force: true });
  }

  async #look(): Promise<void> {
    const there = serverIn(this.#directory);
    if (there !== undefined) {
      const isOwn = there.token === this.token && there.origin === this.#own?.origin;
      if (isOwn || (await this.#answers(there))) return;
    }
    // Withdrawn meanwhile, or never told.
    if (this.#own !== undefined) this.#write(this.#own);
  }

  #isTokenOwn(): boolean {
    try {
      return readFileSync(tokenPath(this.#directory), 'utf8').trim() === this.token;
    } catch {
      return false;
    }
  }

  #write({ origin, token }: ServerAddress): void {
    try {
      // Made anew, so that it never has the rights of an older file.
      rmSync(tokenPath(this.#directory), { force: true });
      writeFileSync(tokenPath(this.#directory), `${token}\n`, { mode: 0o600, flag: 'wx' });
      writeFileSync(urlPath(this.#directory), `${origin}\n`);
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
  readonly token?: string | undefined;
  /** Whether another server is there, and believes its token. */
  readonly answers?: (server: ServerAddress) => Promise<boolean>;
}

export interface ServerAddress {
  readonly origin: string;
  readonly token: string;
}

/** What a running server has left in its data directory; undefined where it has not, or where this user may not read it. */
export function serverIn(directory: string): ServerAddress | undefined {
  try {
    return {
      origin: readFileSync(urlPath(directory), 'utf8').trim(),
      token: readFileSync(tokenPath(directory), 'utf8').trim(),
    };
  } catch {
    return undefined;
  }
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
