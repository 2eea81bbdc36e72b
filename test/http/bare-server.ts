import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openAccess } from '../../src/access/open-access.ts';
import { type HttpServer, startHttpServer } from '../../src/http/server.ts';
import { anyHost } from '../../src/http/host-check.ts';
import { noRedirects } from '../../src/http/redirects.ts';
import { noClientLimits } from '../../src/http/limits/client-limits.ts';
import type { Log } from '../../src/log/log.ts';
import type { Operation } from '../../src/metadata/operation.ts';
import type { MetadataStore, OldPages, Seen, Topic } from '../../src/metadata/store.ts';
import { Metrics } from '../../src/metrics/metrics.ts';
import type { Clock } from '../../src/registry/clock.ts';
import { dueReviews } from '../../src/registry/collector-pause.ts';
import { randomIds } from '../../src/registry/id-generator.ts';
import { noImmutability } from '../../src/registry/immutability.ts';
import { everyGet } from '../../src/registry/puller.ts';
import { PullRecorder } from '../../src/registry/pull-recorder.ts';
import { noQuotas } from '../../src/registry/quotas.ts';
import { Processes } from '../../src/registry/processes.ts';
import { PurgeFinisher } from '../../src/registry/purges/finisher.ts';
import { RecentManifests } from '../../src/registry/manifests/recent.ts';
import { Reclaimer } from '../../src/registry/reclaimer.ts';
import { Responses } from '../../src/registry/responses.ts';
import { noSiblings } from '../../src/registry/siblings.ts';
import { unboundedRoom } from '../../src/registry/room.ts';
import { StoreGeneration } from '../../src/registry/store-generation.ts';
import { heldFigures } from '../../src/registry/store-figures.ts';
import { noRetention } from '../../src/registry/retention-review.ts';
import { UploadSessions } from '../../src/registry/uploads/sessions.ts';
import { forgetStoresBeside, openBlobs, openMetadata } from '../pairs/stores-beside.ts';
import { ManualClock } from '../server/manual-clock.ts';

const hourMs = 3_600_000;

/** A part that a test has in place of the real one. */
export interface Parts {
  readonly clock?: Clock;
  readonly log?: Partial<Log>;
  /** What every transaction that writes fails with. */
  readonly writeError?: Error;
}

/** The HTTP server of a registry whose parts are real, but for one that fails. */
export class BareServer implements AsyncDisposable {
  readonly #directory: string;
  readonly #metadata: MetadataStore;
  readonly #server: HttpServer;

  private constructor(directory: string, metadata: MetadataStore, server: HttpServer) {
    this.#directory = directory;
    this.#metadata = metadata;
    this.#server = server;
  }

  static async start(parts: Parts): Promise<BareServer> {
    const directory = await mkdtemp(join(tmpdir(), 'wherry-bare-'));
    const real = await openMetadata(directory);
    const metadata = parts.writeError === undefined ? real : new UnwritableStore(real, parts.writeError);
    const blobs = await openBlobs(directory);
    const clock = parts.clock ?? new ManualClock();
    const log = logOf(parts.log ?? {});
    const generation = await StoreGeneration.open({ metadata, blobs, clock });
    const none = {
      databaseBytes: 0,
      diskFreeBytes: 0,
      diskTotalBytes: 0,
      databaseOutdated: 0,
      collectorPaused: 0,
      policiesWaiting: 0,
      pruningPaused: 0,
    };
    const metrics = new Metrics(async () => {
      const due = await dueReviews({ metadata, clock });
      const reviews = { dueReviews: due.count, oldestDueSeconds: due.oldestDueMs / 1000 };
      return { ...(await heldFigures({ metadata })), ...reviews, ...none };
    });
    const responses = new Responses();
    const pulls = new PullRecorder({ metadata, clock, log });
    const processes = new Processes({ metadata, log, siblings: noSiblings });
    const server = await startHttpServer({
      registry: {
        metadata,
        blobs,
        clock,
        ids: randomIds,
        windows: {
          leaseMs: hourMs,
          neverTaggedMs: hourMs,
          trashMs: hourMs,
          condemnedMs: hourMs,
          uploadMs: hourMs,
        },
        sparse: { images: false, indexes: false },
        log,
        traffic: metrics,
        room: unboundedRoom,
        sessions: new UploadSessions(),
        recentManifests: new RecentManifests(metadata),
        pulls,
        pullRules: everyGet,
        reclaimer: new Reclaimer({ metadata, blobs, clock, log, generation }),
        responses,
        siblings: noSiblings,
        processes,
        purges: new PurgeFinisher({
          metadata,
          blobs,
          clock,
          log,
          generation,
          responses,
          siblings: noSiblings,
          pulls,
          immutability: noImmutability,
          processes,
        }),
        retention: noRetention,
        quotas: noQuotas,
        immutability: noImmutability,
      },
      metrics,
      admin: {
        collector: undefined,
        checks: undefined,
        layers: { begin: () => undefined },
        events: undefined,
        pruner: undefined,
        policies: () => Promise.resolve(undefined),
        storage: () => Promise.reject(new Error('nothing is measured here')),
      },
      access: openAccess('none'),
      log,
      doors: [{ hostname: '127.0.0.1', port: 0, tls: undefined }],
      connectionLimits: { inAll: 0, perClient: 0 },
      clientLimits: noClientLimits,
      settings: { maxManifestBytes: 4 * 1024 * 1024, location: 'relative', redirects: noRedirects },
      hosts: anyHost,
      trustedProxies: [],
      idleTimeoutMs: 10_000,
      logRequests: 'all',
    });
    return new BareServer(directory, real, server);
  }

  /** `http://127.0.0.1:PORT` */
  get origin(): string {
    return this.#server.url.origin;
  }

  async send(path: string, init: RequestInit = {}): Promise<Response> {
    return await fetch(new URL(path, this.origin), init);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.stop(0);
    await this.#metadata.close();
    forgetStoresBeside(this.#directory);
    await rm(this.#directory, { recursive: true });
  }
}

function logOf(parts: Partial<Log>): Log {
  const ignore = (): void => undefined;
  const log: Log = { debug: ignore, info: ignore, warn: ignore, error: ignore, child: () => log, ...parts };
  return log;
}

/** A store that can still be read. */
class UnwritableStore implements MetadataStore {
  readonly #real: MetadataStore;
  readonly #error: Error;

  constructor(real: MetadataStore, error: Error) {
    this.#real = real;
    this.#error = error;
  }
  async read<T>(operation: () => Operation<T>): Promise<T> {
    return await this.#real.read(operation);
  }
  async write(): Promise<never> {
    throw this.#error;
  }
  async writeUnsynced(): Promise<never> {
    throw this.#error;
  }
  async durable(what?: Seen): Promise<void> {
    await this.#real.durable(what);
  }
  async forgetOldPages(): Promise<OldPages> {
    return await this.#real.forgetOldPages();
  }
  get isShared(): boolean {
    return this.#real.isShared;
  }
  async settledEvents(): Promise<number> {
    return await this.#real.settledEvents();
  }
  async processesBefore(migration: number): Promise<readonly string[]> {
    return await this.#real.processesBefore(migration);
  }
  async sizeBytes(): Promise<number> {
    return await this.#real.sizeBytes();
  }
  get commits(): number | undefined {
    return this.#real.commits;
  }
  announce(topic: Topic): void {
    this.#real.announce(topic);
  }

  onAnnouncement(heard: (topic: Topic) => void): void {
    this.#real.onAnnouncement(heard);
  }

  watch(committed: () => void): void {
    this.#real.watch(committed);
  }
  async isReady(): Promise<boolean> {
    return await this.#real.isReady();
  }
  async close(): Promise<void> {
    await this.#real.close();
  }
}
