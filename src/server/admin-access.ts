import { randomBytes } from 'node:crypto';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Log } from '../log/log.ts';

/**
 * How the operator's programs find the server that runs on a data directory and prove that they may administer it:
 * `server.url` says where it listens, `admin.token`, which only its user can read, is the password of this run.
 */
export class AdminAccess {
  readonly token: string;
  readonly #directory: string;

  constructor(directory: string, token: string = randomBytes(32).toString('base64url')) {
    this.token = token;
    this.#directory = directory;
  }

  /** A full disk keeps no server from starting: the commands that need these files say that they are not there. */
  tell(origin: string, log: Log): void {
    try {
      // Made anew, so that it never has the rights of an older file.
      rmSync(tokenPath(this.#directory), { force: true });
      writeFileSync(tokenPath(this.#directory), `${this.token}\n`, { mode: 0o600, flag: 'wx' });
      writeFileSync(urlPath(this.#directory), `${reachable(origin)}\n`);
    } catch (error) {
      log.warn({ err: error }, 'the admin API cannot be used: its token could not be written');
    }
  }

  withdraw(): void {
    rmSync(urlPath(this.#directory), { force: true });
    rmSync(tokenPath(this.#directory), { force: true });
  }
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
