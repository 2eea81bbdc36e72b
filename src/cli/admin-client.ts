import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { serverIn } from '../admin-access.ts';
import type { Config } from '../config/schema.ts';
import type { AdminCall, Endpoint } from '../http/admin/endpoint.ts';
import { adminPrefix, answerAdmin } from '../http/admin/routes.ts';
import { createLog } from '../log/log.ts';
import { adminActor } from '../registry/actor.ts';
import { systemClock } from '../registry/clock.ts';
import { StartupError } from '../startup-error.ts';
import { DirectoryInUseError, openStores, registryOf, type Stores } from '../stores.ts';
import { version } from './version.ts';

export interface Asked {
  readonly query?: Readonly<Record<string, string | undefined>>;
  readonly body?: object;
}

/** Asks the admin API of a data directory's registry, by HTTP where a server runs on it, else within this process. */
export interface AdminClient {
  /** @throws RefusedError */
  ask<Answer extends z.ZodType>(endpoint: Endpoint<Answer>, asked?: Asked): Promise<z.output<Answer>>;
  close(): Promise<void>;
}

/** The registry's own words for why it did not do what was asked. */
export class RefusedError extends Error {
  override readonly name = 'RefusedError';
}

type Send = (path: string, init: RequestInit) => Promise<Response>;

/** @throws StartupError where there is no registry to ask */
export async function openAdmin(config: Config): Promise<AdminClient> {
  const directory = resolve(config.data);
  if (!existsSync(join(directory, 'wherry.db'))) {
    throw new StartupError(`there is no registry in ${directory}: name its data directory with --data`);
  }
  let stores: Stores;
  try {
    stores = await openStores(directory, await quietLog());
  } catch (error) {
    if (!(error instanceof DirectoryInUseError)) throw error;
    return overHttp(directory);
  }
  return withinProcess(stores, config);
}

function overHttp(directory: string): AdminClient {
  const server = serverIn(directory);
  if (server === undefined) {
    throw new StartupError(
      `a registry runs on ${directory}, but its admin.token cannot be read: run this as the registry's user, or once it has started`,
    );
  }
  const send: Send = async (path, init) => {
    try {
      return await fetch(server.origin + path, init);
    } catch (error) {
      throw new StartupError(`the registry at ${server.origin} does not answer: try again, or look at its log`, {
        cause: error,
      });
    }
  };
  return clientOf(send, server.token, () => Promise.resolve());
}

async function withinProcess(stores: Stores, config: Config): Promise<AdminClient> {
  const log = await quietLog();
  const traffic = { pulled: () => undefined, pushed: () => undefined };
  const registry = registryOf({ stores, config, clock: systemClock, log, traffic });
  const token = randomBytes(32).toString('base64url');
  const send: Send = async (path, init) => {
    const request = new Request(`http://localhost${path}`, init);
    const url = new URL(request.url);
    const call: AdminCall = {
      registry,
      settings: { maxManifestBytes: config.manifests.maxSizeBytes, location: 'relative' },
      request,
      requestId: 'command',
      queryText: url.search.slice(1),
      origin: () => '',
      actor: () => adminActor(undefined, userAgent),
      allowSlowAnswer: () => undefined,
      admin: { collector: undefined, token },
    };
    return await answerAdmin(call, url.pathname);
  };
  return clientOf(send, token, () => stores.close());
}

/** Who asks, for the log of what happened. */
const userAgent = `wherry/${version} (${userName()})`;

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    // A user without an entry in the system's list has a number only.
    return String(process.getuid?.() ?? 'unknown');
  }
}

const refusal = z.object({ errors: z.tuple([z.object({ message: z.string() })]) });

function clientOf(send: Send, token: string, close: () => Promise<void>): AdminClient {
  return {
    async ask(endpoint, { query = {}, body } = {}) {
      const parameters = new URLSearchParams();
      for (const [name, value] of Object.entries(query)) if (value !== undefined) parameters.set(name, value);
      const answer = await send(`${adminPrefix}${endpoint.path}?${parameters.toString()}`, {
        method: endpoint.method,
        headers: { authorization: `Bearer ${token}`, 'user-agent': userAgent },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      });
      const json: unknown = await answer.json();
      if (answer.ok) return endpoint.answer.parse(json);
      throw new RefusedError(refusal.parse(json).errors[0].message);
    },
    close,
  };
}

/** Errors only, and not where the command's own output goes. */
async function quietLog() {
  return await createLog({ level: 'error', format: 'auto', stream: process.stderr });
}
