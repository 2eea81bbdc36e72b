import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { IssuerSet } from '../../src/credentials/issuers/issuer-set.ts';
import { parseAccessRules } from '../../src/access/parse.ts';
import { loadConfig } from '../../src/config/load.ts';
import { createLog } from '../../src/log/log.ts';
import { type RunningServer, startServer } from '../../src/server/server.ts';
import { forgetStoresBeside, storesBeside } from '../pairs/stores-beside.ts';
import type { Tables } from '../pairs/tables.ts';
import { ManualClock } from '../server/manual-clock.ts';

export interface Guarding {
  /** The configuration file. */
  readonly yaml: string;
  /** Passwords by user. */
  readonly users?: Readonly<Record<string, string>>;
}

const tokenAnswer = z.object({
  token: z.string(),
  access_token: z.string(),
  expires_in: z.number(),
  issued_at: z.string(),
  scope: z.string(),
  refresh_token: z.string().optional(),
});

export type TokenAnswer = z.output<typeof tokenAnswer>;

const robotAnswer = z.object({ secret: z.string() });

/** A registry where one has to log in, on a port of its own in the test's process, with a clock that the test moves. */
export class TokenRegistry implements AsyncDisposable {
  readonly clock = new ManualClock();
  /** What it has logged, at the level that says most: a JSON text a line. */
  readonly logged: string[] = [];
  readonly directory = mkdtempSync(join(tmpdir(), 'wherry-guarded-'));
  #server: RunningServer | undefined;

  static async start(guarding: Guarding): Promise<TokenRegistry> {
    const registry = new TokenRegistry();
    try {
      await registry.resume(guarding);
      return registry;
    } catch (error) {
      await registry[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Serves the same data, maybe guarded in another way. */
  async resume({ yaml, users }: Guarding): Promise<void> {
    if (users !== undefined) await this.setUsers(users);
    const flags = new Map<string, string>([
      ['data', this.#data],
      ['listen', '127.0.0.1:0'],
      ['http.drain', '1s'],
      ['log.level', 'debug'],
      ['log.requests', 'all'],
      ...Object.entries(storesBeside(this.#data).settings),
      ...(users === undefined ? [] : ([['auth.htpasswd', this.#usersFile]] as const)),
    ]);
    const loaded = await loadConfig({ configFile: 'wherry.yaml', flags, env: {}, readFile: () => yaml });
    if (!loaded.ok) throw new Error(loaded.problems.join('\n'));
    const access = parseAccessRules(loaded.access, loaded.groups);
    const issuers = loaded.issuers === undefined ? undefined : IssuerSet.parse(loaded.issuers.value);
    if (!access.ok) throw new Error(access.problems.join('\n'));
    if (issuers?.ok === false) throw new Error(issuers.problems.join('\n'));
    const stream = { write: (line: string) => void this.logged.push(line) };
    this.#server = await startServer({
      config: loaded.config,
      log: await createLog({ level: loaded.config.log.level, format: 'json', stream }),
      access: access.rules,
      issuers: issuers?.set,
      clock: this.clock,
    });
    this.#server.collector.pause();
  }

  async stop(): Promise<void> {
    await this.#server?.stop();
    this.#server = undefined;
  }

  get origin(): string {
    if (this.#server === undefined) throw new Error('the registry is stopped');
    return this.#server.url;
  }

  /** Its rows, as seen from beside it. */
  get tables(): Tables {
    return storesBeside(this.#data).tables;
  }

  get #data(): string {
    return join(this.directory, 'data');
  }

  get #usersFile(): string {
    return join(this.directory, 'htpasswd');
  }

  /** Writes the password file anew; the registry has noticed when this resolves. */
  async setUsers(users: Readonly<Record<string, string>>): Promise<void> {
    const lines = await Promise.all(
      Object.entries(users).map(async ([name, password]) => {
        return `${name}:${await Bun.password.hash(password, { algorithm: 'bcrypt', cost: 4 })}\n`;
      }),
    );
    writeFileSync(this.#usersFile, lines.join(''));
    this.clock.advance(1000);
  }

  async send(path: string, init: RequestInit = {}): Promise<Response> {
    return await fetch(this.origin + path, init);
  }

  async sendAs(authorization: string, path: string, method = 'GET'): Promise<Response> {
    return await this.send(path, { method, headers: { authorization } });
  }

  /** The status with which somebody's request is answered. */
  async statusFor(authorization: string, path: string, method = 'GET'): Promise<number> {
    return (await this.sendAs(authorization, path, method)).status;
  }

  /** Whether somebody may push to a repository: what opening an upload there is answered with. */
  async pushStatus(authorization: string, repo: string): Promise<number> {
    return await this.statusFor(authorization, `/v2/${repo}/blobs/uploads/`, 'POST');
  }

  /** A token by GET. @throws where there is none */
  async token(
    authorization: string | undefined,
    scopes: readonly string[],
    more: Readonly<Record<string, string>> = {},
  ): Promise<TokenAnswer> {
    const query = new URLSearchParams({ service: 'wherry', ...more });
    for (const scope of scopes) query.append('scope', scope);
    const answer = await this.send(
      `/token?${query.toString()}`,
      authorization === undefined ? {} : { headers: { authorization } },
    );
    return await tokenOf(answer);
  }

  /** What a form is answered with. */
  async post(form: Readonly<Record<string, string>>): Promise<Response> {
    return await this.send('/token', { method: 'POST', body: new URLSearchParams(form) });
  }

  /** Asks the admin API as its operator. */
  async admin(method: string, path: string, body?: object): Promise<Response> {
    const token = (await readFile(join(this.#data, 'admin.token'), 'utf8')).trim();
    return await this.send(`/admin/v1${path}`, {
      method,
      headers: { authorization: `Bearer ${token}` },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  }

  /** Makes a robot. @returns its secret */
  async robot(name: string, expires?: string): Promise<string> {
    const answer = await this.admin('POST', '/robots', { name, expires });
    return robotAnswer.parse(await answer.json()).secret;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    forgetStoresBeside(this.#data);
    rmSync(this.directory, { recursive: true });
  }
}

/** @throws where it is none */
export async function tokenOf(answer: Response): Promise<TokenAnswer> {
  if (answer.status !== 200) throw new Error(`no token, but ${answer.status} ${await answer.text()}`);
  return tokenAnswer.parse(await answer.json());
}

export function basic(name: string, secret: string): string {
  return `Basic ${Buffer.from(`${name}:${secret}`).toString('base64')}`;
}

export function bearer({ token }: { readonly token: string }): string {
  return `Bearer ${token}`;
}
