import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { operator } from '../access/identity.ts';
import { openAccess } from '../access/open-access.ts';
import { allRights } from '../access/rights.ts';
import { answersOperator, type ServerAddress, serverIn } from '../server/admin-access.ts';
import { pruneNothing } from '../bounds/pruner.ts';
import { storageReport } from '../bounds/report.ts';
import { Storage } from '../bounds/storage.ts';
import { UploadRoom } from '../bounds/upload-room.ts';
import type { PoliciesDocument } from '../config/policies-document.ts';
import type { Config } from '../config/schema.ts';
import { diskSpace } from '../server/disk-space.ts';
import { noRedirects } from '../http/redirects.ts';
import { StoreLayerReader } from '../find/layer-reader.ts';
import type { AdminCall, Endpoint, LinesEndpoint } from '../http/admin/endpoint.ts';
import { openRecords } from '../fsck/places.ts';
import { CannotCheckError } from '../fsck/records.ts';
import { linesMediaType, type Progress, progress } from '../http/admin/lines.ts';
import { adminPrefix, answerAdmin } from '../http/admin/routes.ts';
import { jsonLines } from '../json-lines.ts';
import { createLog } from '../log/log.ts';
import { immutabilityOf } from '../immutability/in-force.ts';
import { StoredQuotas } from '../quotas/in-force.ts';
import { endOverdue } from '../registry/read-only.ts';
import { requestActor } from '../registry/actor.ts';
import { anyRetention } from '../registry/retention-review.ts';
import { StartupError } from '../startup-error.ts';
import { placesOf } from '../stores/checked-places.ts';
import { DirectoryInUseError } from '../stores/data-directory.ts';
import { openStores, type Stores } from '../stores/stores.ts';
import { registryOf } from '../server/registry-of.ts';
import { configuredPolicies } from './configured-policies.ts';
import { version } from '../version.ts';

export interface Asked {
  readonly query?: Readonly<Record<string, string | undefined>>;
  readonly body?: object;
  /** Is told how far the answer of a long endpoint has come. */
  readonly onProgress?: (progress: Progress) => void;
}

/** Listens to the admin API of a data directory's registry. */
export interface Listener {
  /** What an endpoint has to tell, as it comes. @throws RefusedError */
  listen<Line extends z.ZodType>(
    endpoint: LinesEndpoint<Line>,
    asked?: Asked,
  ): AsyncGenerator<z.output<Line>, void, undefined>;
}

/** Asks the admin API of a data directory's registry, by HTTP where a server runs on it, else within this process. */
export interface AdminClient extends Listener {
  /** @throws RefusedError */
  ask<Answer extends z.ZodType>(endpoint: Endpoint<Answer>, asked?: Asked): Promise<z.output<Answer>>;
  close(): Promise<void>;
}

/** The registry's own words for why it did not do what was asked. */
export class RefusedError extends Error {
  override readonly name = 'RefusedError';
}

type Send = (path: string, init: RequestInit) => Promise<Response>;

/**
 * @param policies those of the configuration: a server that runs has its own
 * @throws StartupError where there is no registry to ask
 */
export async function openAdmin(config: Config, policies?: PoliciesDocument): Promise<AdminClient> {
  return await byServerOr(config, async () =>
    withinProcess(await openStores(config, await quietLog()), config, policies),
  );
}

/**
 * Asks the server that runs on a data directory; where none does, something that opens it answers.
 * @throws StartupError where there is no registry to ask
 */
export async function byServerOr<Client>(
  config: Config,
  withinThis: () => Promise<Client>,
): Promise<AdminClient | Client> {
  const directory = resolve(config.data);
  const isElsewhere = config.metadata.kind === 'sqlite' && !existsSync(join(directory, 'wherry.db'));
  if (config.metadata.kind === 'postgres' || isElsewhere) {
    // Beside servers, this process could do most by itself: but it knows nothing of what they have in memory.
    const server = serverIn(directory);
    if (server !== undefined && (await answersOperator(server))) return clientOfServer(server);
  }
  if (isElsewhere) {
    throw new StartupError(
      `there is no registry in ${directory}: name its data directory with --data, or where its metadata is in PostgreSQL the configuration (--config, or WHERRY_METADATA)`,
    );
  }
  if (config.metadata.kind === 'postgres') await expectRegistry(config);
  try {
    return await withinThis();
  } catch (error) {
    if (!(error instanceof DirectoryInUseError)) throw error;
    return overHttp(directory);
  }
}

/** A command makes no registry, and brings none up to date. @throws StartupError where it would have to */
async function expectRegistry(config: Config): Promise<void> {
  try {
    await using _records = await openRecords(placesOf(config));
  } catch (error) {
    throw error instanceof CannotCheckError ? new StartupError(error.message, { cause: error }) : error;
  }
}

function overHttp(directory: string): AdminClient {
  const server = serverIn(directory);
  if (server === undefined) throw new StartupError(noToken(directory));
  return clientOfServer(server);
}

/** Why a server that runs cannot be asked. */
export function noToken(directory: string): string {
  return `a registry runs on ${directory}, but its admin.token cannot be read: run this as the registry's user, or once it has started`;
}

/** Asks a server that runs. */
export function clientOfServer(server: ServerAddress): AdminClient {
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

async function withinProcess(
  stores: Stores,
  config: Config,
  policies: PoliciesDocument | undefined,
): Promise<AdminClient> {
  const log = await quietLog();
  const traffic = { pulled: () => undefined, pushed: () => undefined };
  const quotas = await StoredQuotas.open(stores.metadata, log);
  const immutability = await immutabilityOf(stores.metadata);
  const about = { version, isCollecting: false };
  const parts = { stores, config, clock: stores.clock, log, traffic, quotas, immutability, about };
  const registry = registryOf({ ...parts, retention: anyRetention });
  await endOverdue(registry);
  await registry.purges.resume();
  const measureDisk = () => diskSpace(stores.directory);
  const storage = new Storage({
    registry,
    bounds: config.storage,
    room: new UploadRoom({ reserve: config.storage.reserve, measure: measureDisk, isBeingMade: () => false }),
    measureDisk,
    mayCollect: async () => false,
    wakeCollector: () => undefined,
    prune: pruneNothing,
  });
  const token = randomBytes(32).toString('base64url');
  const send: Send = async (path, init) => {
    const request = new Request(`http://localhost${path}`, init);
    const url = new URL(request.url);
    const call: AdminCall = {
      registry,
      settings: { maxManifestBytes: config.manifests.maxSizeBytes, location: 'relative', redirects: noRedirects },
      request,
      identity: operator,
      rights: allRights,
      access: openAccess(token),
      requestId: 'command',
      queryText: url.search.slice(1),
      origin: () => '',
      address: () => undefined,
      actor: () =>
        requestActor({ who: 'admin', identity: 'operator', address: undefined, userAgent, requestId: undefined }),
      onReceived: undefined,
      sessionLimit: () => undefined,
      noteDenial: () => undefined,
      noteKeptOut: () => undefined,
      sends: () => true,
      allowSlowAnswer: () => undefined,
      admin: {
        collector: undefined,
        checks: undefined,
        layers: { begin: (wanted) => new StoreLayerReader(stores.blobs, wanted) },
        events: undefined,
        pruner: undefined,
        policies: () => configuredPolicies(policies),
        storage: (onProgress) => storageReport(registry, storage, onProgress),
      },
    };
    return await answerAdmin(call, url.pathname);
  };
  return clientOf(send, token, async () => {
    await registry.purges.stop();
    await stores.close();
  });
}

/** Who asks, for the log of what happened. */
export const userAgent = `wherry/${version} (${userName()})`;

function userName(): string {
  try {
    const { username, uid } = userInfo();
    // What the runtime says where the environment names nobody.
    return username === 'unknown' ? `user ${uid}` : username;
  } catch {
    // A user without an entry in the system's list has a number only.
    return String(process.getuid?.() ?? 'unknown');
  }
}

const refusal = z.object({ errors: z.tuple([z.object({ message: z.string() })]) });
const progressLine = z.object({ progress });
const answerLine = z.object({ answer: z.unknown() });

function clientOf(send: Send, token: string, close: () => Promise<void>): AdminClient {
  async function sent(
    { method, path }: Endpoint | LinesEndpoint,
    { query = {}, body }: Asked,
    accept: string,
  ): Promise<Response> {
    const parameters = new URLSearchParams();
    for (const [name, value] of Object.entries(query)) if (value !== undefined) parameters.set(name, value);
    const answer = await send(`${adminPrefix}${path}?${parameters.toString()}`, {
      method,
      headers: { authorization: `Bearer ${token}`, 'user-agent': userAgent, accept },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    if (answer.ok) return answer;
    throw new RefusedError(refusal.parse(await answer.json()).errors[0].message);
  }

  return {
    async ask(endpoint, asked = {}) {
      if (!endpoint.isLong) {
        const answer = await sent(endpoint, asked, 'application/json');
        return endpoint.answer.parse(await answer.json());
      }
      for await (const line of linesOf(await sent(endpoint, asked, linesMediaType))) {
        const told = progressLine.safeParse(line);
        if (!told.success) return endpoint.answer.parse(answerLine.parse(line).answer);
        asked.onProgress?.(told.data.progress);
      }
      throw brokenOff();
    },
    async *listen(endpoint, asked = {}) {
      for await (const line of linesOf(await sent(endpoint, asked, linesMediaType))) yield endpoint.line.parse(line);
    },
    close,
  };
}

/** @throws RefusedError for a line that says that it is over */
async function* linesOf({ body }: Response): AsyncGenerator<unknown, void, undefined> {
  if (body === null) throw brokenOff();
  try {
    for await (const line of jsonLines(body)) {
      const refused = refusal.safeParse(line);
      if (refused.success) throw new RefusedError(refused.data.errors[0].message);
      yield line;
    }
  } catch (error) {
    if (error instanceof RefusedError) throw error;
    throw brokenOff(error);
  }
}

function brokenOff(cause?: unknown): StartupError {
  return new StartupError('the registry has broken off its answer: try again, or look at its log', { cause });
}

/** Errors only, and not where the command's own output goes. */
export async function quietLog() {
  return await createLog({ level: 'error', format: 'auto', stream: process.stderr });
}
