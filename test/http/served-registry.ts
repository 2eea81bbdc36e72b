import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AccessRules } from '../../src/access/rule.ts';
import type { ConfiguredRules } from '../../src/audit/rules-in-force.ts';
import type { DiskSpace } from '../../src/bounds/levels.ts';
import { pruneNothing, type PruneLeastRecentlyUsed, type RoomLimits } from '../../src/bounds/pruner.ts';
import { ImmutabilitySet } from '../../src/immutability/immutability-set.ts';
import { createLog } from '../../src/log/log.ts';
import type { MetadataStore } from '../../src/metadata/store.ts';
import type { Pruned } from '../../src/pruning/prune-repository.ts';
import type { PolicySet } from '../../src/retention/policy-set.ts';
import { QuotaSet } from '../../src/quotas/quota-set.ts';
import { type RunningServer, startServer } from '../../src/server/server.ts';
import type { Syncs } from '../../src/stores/syncs.ts';
import { configFrom } from '../server/config-from.ts';
import { ManualClock } from '../server/manual-clock.ts';
import { until } from '../server/until.ts';
import { authority } from '../tls/certificates/certificates.ts';
import type { Objects } from '../pairs/objects.ts';
import { forgetStoresBeside, type StoresBeside, storesBeside } from '../pairs/stores-beside.ts';
import type { Bound, Tables } from '../pairs/tables.ts';
import { digestOf, ociManifest } from './content.ts';

const gib = 1024 ** 3;

/** Settings by name, as an operator would write them: `{ 'windows.lease': '1h' }`. */
export type Settings = Readonly<Record<string, string>>;

/** A registry that serves on a port of its own inside the test's process, with a clock that the test moves. */
export class ServedRegistry implements AsyncDisposable {
  readonly clock = new ManualClock();
  /** What it has logged: one JSON text a line. */
  readonly logged: string[] = [];
  readonly dataDirectory: string;
  /** The disk that it believes to be on: a roomy one, until a test has another. */
  disk: DiskSpace = { freeBytes: 900 * gib, usedBytes: 100 * gib, totalBytes: 1000 * gib };
  /** Removes tags to make room. */
  prune: PruneLeastRecentlyUsed = pruneNothing;
  /** What it serves with from the next start on. */
  policies: PolicySet | undefined;
  quotas: QuotaSet | undefined;
  access: AccessRules | undefined;
  /** Puts something between the registry and its metadata, from the next start on. */
  wrapMetadata: ((metadata: MetadataStore) => MetadataStore) | undefined;
  immutability: ImmutabilitySet | undefined;
  /** What is told of the configuration beside them. */
  configuredRules: readonly ConfiguredRules[] = [];
  #server: RunningServer | undefined;

  readonly #syncs: Syncs | undefined;

  private constructor(dataDirectory: string, syncs: Syncs | undefined) {
    this.dataDirectory = dataDirectory;
    this.#syncs = syncs;
  }

  /** Starts a registry on an empty data directory, which goes when the registry is disposed of. */
  static async start(settings: Settings = {}, syncs?: Syncs): Promise<ServedRegistry> {
    const registry = new ServedRegistry(await mkdtemp(join(tmpdir(), 'wherry-http-')), syncs);
    try {
      await registry.resume(settings);
      return registry;
    } catch (error) {
      await registry[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Ends the process's part of the registry in an orderly way; the data stays. */
  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    await server?.stop();
  }

  /** Serves the same data again, on another port. */
  async resume(settings: Settings = {}): Promise<void> {
    const config = await configFrom({
      data: this.dataDirectory,
      listen: '127.0.0.1:0',
      'http.drain': '1s',
      'log.level': 'warn',
      // A test waits for what is collected; no others wait for their answers.
      'collector.share': '100',
      ...this.#storesSettings(settings),
      ...settings,
    });
    const stream = { write: (line: string) => void this.logged.push(line) };
    const log = await createLog({ level: config.log.level, format: 'json', stream });
    const { clock, policies, quotas, access, wrapMetadata, immutability, configuredRules } = this;
    const syncs = this.#syncs === undefined ? {} : { syncs: this.#syncs };
    this.#server = await startServer({
      config,
      log,
      policies,
      quotas,
      access,
      immutability,
      configuredRules,
      clock,
      measureDisk: async () => this.disk,
      prune: async (neededBytes, limits) => await this.prune(neededBytes, limits),
      ...syncs,
      ...(wrapMetadata === undefined ? {} : { wrapMetadata }),
    });
    // What is due by the test's clock is collected when the test says so.
    this.#server.collector.pause();
    // A look that has begun at the start may still read the clock.
    await this.#server.collector.workOff(0);
    // So is it looked at the disk.
    await this.#server.storage.stop();
  }

  /** `http://127.0.0.1:PORT` */
  get origin(): string {
    if (this.#server === undefined) throw new Error('the registry is stopped');
    return this.#server.url;
  }

  /** `127.0.0.1:PORT` */
  get host(): string {
    return new URL(this.origin).host;
  }

  get port(): number {
    return Number(new URL(this.origin).port);
  }

  /** Sends a request to a path such as `/v2/`, or to a Location of an earlier answer. */
  async send(path: string, init: RequestInit = {}): Promise<Response> {
    const tls = this.origin.startsWith('https:') ? { tls: { ca: authority } } : {};
    return await fetch(new URL(path, this.origin), { ...tls, ...init });
  }

  /** Asks the admin API for something under /admin/v1, as its operator. */
  async admin(method: string, path: string, body?: object): Promise<Response> {
    const token = (await readFile(join(this.dataDirectory, 'admin.token'), 'utf8')).trim();
    return await this.send(`/admin/v1${path}`, {
      method,
      headers: { authorization: `Bearer ${token}` },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  }

  /** Has everything collected that is due by now; resolves when nothing is. */
  async collected(): Promise<void> {
    await this.#server?.collector.workOff();
  }

  /** Resolves when the copies are gone that were pushed of what was there: they go in the background. */
  async copiesGone(): Promise<void> {
    await until('no copy is left', () => this.rows("select 1 from object where state = 'dead'").length === 0);
  }

  /** Has its policies do all that is due by now; resolves when nothing is. */
  async pruned(): Promise<void> {
    await this.#server?.pruner?.workOff();
  }

  /** Has policies prune that let it for a disk that is nearly full. */
  async makeRoom(neededBytes: number, limits: Partial<RoomLimits> = {}): Promise<Pruned | undefined> {
    return await this.#server?.pruner?.makeRoom(neededBytes, { mayGoOn: () => Promise.resolve(true), ...limits });
  }

  /** Has its policies do nothing more, as when it begins to stop. */
  async stopPruning(): Promise<void> {
    await this.#server?.pruner?.stop();
  }

  /** Serves the same data with these quotas, and waits until all that they limit is counted. */
  async limit(quotas: unknown, settings: Settings = {}): Promise<void> {
    await this.stop();
    const parsed = quotas === undefined ? undefined : QuotaSet.parse(quotas);
    if (parsed?.ok === false) throw new Error(parsed.problems.join('\n'));
    this.quotas = parsed?.set;
    await this.resume(settings);
    await this.counted();
  }

  /** Serves the same data with these rules of what can be neither overwritten nor deleted. */
  async protect(rules: unknown, settings: Settings = {}): Promise<void> {
    await this.stop();
    const parsed = rules === undefined ? undefined : ImmutabilitySet.parse(rules);
    if (parsed?.ok === false) throw new Error(parsed.problems.join('\n'));
    this.immutability = parsed?.set;
    await this.resume(settings);
  }

  /** Opens files anew, as on SIGHUP. */
  reopenFiles(): void {
    this.#server?.reopenFiles();
  }

  /** Resolves once all that quotas limit is counted. */
  async counted(): Promise<void> {
    await this.#server?.quotas.counted();
  }

  /** Has it looked at how much is stored and free, as the server does every few seconds. */
  async looked(): Promise<void> {
    await this.#server?.storage.look();
  }

  /** Pushes a blob with a single POST. @returns its digest @throws if it is not accepted */
  async pushBlob(repo: string, bytes: Uint8Array): Promise<string> {
    const digest = digestOf(bytes);
    const answer = await this.send(`/v2/${repo}/blobs/uploads/?digest=${digest}`, { method: 'POST', body: bytes });
    if (answer.status !== 201) throw new Error(`the blob was answered with ${answer.status} ${await answer.text()}`);
    return digest;
  }

  /** Pushes a manifest, whatever comes of it; `manifest` may be its exact text. */
  async putManifest(
    repo: string,
    reference: string,
    manifest: string | object,
    contentType: string = ociManifest,
  ): Promise<Response> {
    return await this.send(`/v2/${repo}/manifests/${reference}`, {
      method: 'PUT',
      headers: { 'content-type': contentType },
      body: typeof manifest === 'string' ? manifest : JSON.stringify(manifest),
    });
  }

  /** Its stores, as seen from beside it. */
  get stores(): StoresBeside {
    return storesBeside(this.dataDirectory);
  }

  /** Its rows, read and changed from beside it. */
  get tables(): Tables {
    return this.stores.tables;
  }

  /** The bytes of its blobs, looked at and changed from beside it. */
  get objects(): Objects {
    return this.stores.objects;
  }

  /** What a process of its own is told, beside `--data`, to work on the same stores. */
  get environment(): Readonly<Record<string, string>> {
    return this.stores.environment;
  }

  /** The rows that a query finds in the database, read on a connection of its own. */
  rows<Row>(sql: string, ...parameters: Bound[]): Row[] {
    return this.tables.rows<Row>(sql, ...parameters);
  }

  /** The names of all that holds blobs or parts of blobs. */
  async objectFiles(): Promise<string[]> {
    return await this.objects.names();
  }

  /** Those of the pair under test, where a test has none of its own. */
  #storesSettings(settings: Settings): Settings {
    return 'metadata' in settings || 'blobs' in settings ? {} : this.stores.settings;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    forgetStoresBeside(this.dataDirectory);
    await rm(this.dataDirectory, { recursive: true });
  }
}
