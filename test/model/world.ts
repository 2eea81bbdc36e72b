import { closeSync, cpSync, fstatSync, mkdirSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { DirectoryObjects } from '../pairs/objects.ts';
import { testedBucket, testedPostgres } from '../pairs/pair.ts';
import { PostgresReader, type Reader, SqliteReader } from '../pairs/reader.ts';
import { forgetKilledProcess } from '../pairs/killed-process.ts';
import { forgetStoresBeside, storesBeside } from '../pairs/stores-beside.ts';
import { temporary } from '../pairs/temporary.ts';
import { ManualClock } from '../server/manual-clock.ts';
import type { BlobStore } from '../../src/blobs/store.ts';
import { DirectoryBlobStore } from '../../src/blobs/directory/store.ts';
import { Collector } from '../../src/collector/collector.ts';
import { Pace } from '../../src/collector/pace.ts';
import type { Places } from '../../src/fsck/places.ts';
import type { Log } from '../../src/log/log.ts';
import { SqliteMetadataStore } from '../../src/metadata/sqlite/store.ts';
import type { MetadataStore } from '../../src/metadata/store.ts';
import { randomIds } from '../../src/registry/id-generator.ts';
import { type Immutability, noImmutability } from '../../src/registry/immutability.ts';
import { everyGet } from '../../src/registry/puller.ts';
import { PullRecorder } from '../../src/registry/pull-recorder.ts';
import { putInForce, StoredQuotas } from '../../src/quotas/in-force.ts';
import type { QuotaSet } from '../../src/quotas/quota-set.ts';
import { Processes } from '../../src/registry/processes.ts';
import { PurgeFinisher } from '../../src/registry/purges/finisher.ts';
import { RecentManifests } from '../../src/registry/manifests/recent.ts';
import { Reclaimer } from '../../src/registry/reclaimer.ts';
import { Responses } from '../../src/registry/responses.ts';
import { noSiblings } from '../../src/registry/siblings.ts';
import { unboundedRoom } from '../../src/registry/room.ts';
import { StoreGeneration } from '../../src/registry/store-generation.ts';
import type { Registry, SparsePolicy, Windows } from '../../src/registry/registry.ts';
import { noRetention } from '../../src/registry/retention-review.ts';
import { UploadSessions } from '../../src/registry/uploads/sessions.ts';
import { Gate } from './gate.ts';

/** Changes what the registry's operations do to the database, to show that the tests would see it. */
export type Mutation = (metadata: MetadataStore) => MetadataStore;

export interface WorldSettings {
  readonly windows: Windows;
  readonly sparse: SparsePolicy;
  readonly mutation?: Mutation;
  /** What can be neither overwritten nor deleted. */
  readonly immutability?: Immutability;
  /** What is limited from the next start on. */
  readonly quotas?: () => QuotaSet | undefined;
}

const hasServer = testedPostgres !== undefined || testedBucket !== undefined;

/** The parts of one process, from its start to its end. */
interface Process {
  readonly directory: string;
  readonly metadata: MetadataStore;
  readonly registry: Registry;
  readonly collector: Collector;
  readonly reader: Reader;
  /** Of the directories that the store keeps open for as long as a process lasts. */
  readonly directories: readonly number[];
  /** What stands between it and the servers that have its rows or its bytes, where some do. */
  readonly gate: Gate;
  /** Whether it has been killed: what it logs from then on is nobody's business. */
  isKilled: boolean;
}

const taskRows = z.array(z.object({ kind: z.string(), key1: z.string(), key2: z.string(), due_at: z.number() }));
const manifestRows = z.array(
  z.object({
    repo: z.string(),
    digest: z.string(),
    state: z.enum(['live', 'trashed']),
    trash_until: z.number().nullable(),
  }),
);
const linkRows = z.array(z.object({ repo: z.string(), digest: z.string(), is_hidden: z.number() }));
const tagRows = z.array(z.object({ repo: z.string(), name: z.string(), manifest: z.string() }));
const trashedTagRows = z.array(
  z.object({ repo: z.string(), name: z.string(), manifest: z.string(), purge_after: z.number() }),
);
const pinRows = z.array(
  z.object({ repo: z.string(), kind: z.enum(['repository', 'tag', 'manifest']), name: z.string(), reason: z.string() }),
);
const purgedRows = z.array(z.object({ name: z.string() }));
const edgeRows = z.array(z.object({ repo: z.string(), manifest: z.string(), held: z.string() }));
const objectRows = z.array(z.object({ oid: z.string(), digest: z.string().nullable(), state: z.string() }));
const uploadRows = z.array(z.object({ id: z.string(), repo: z.string(), oid: z.string().nullable() }));
const storedRows = z.array(
  z.object({
    state: z.string(),
    objects: z.number(),
    bytes: z.number(),
    countedObjects: z.number(),
    countedBytes: z.number(),
  }),
);

/** What the tables say. */
const seen = z.object({
  tasks: taskRows,
  manifests: manifestRows,
  links: linkRows,
  tags: tagRows,
  trashedTags: trashedTagRows,
  pins: pinRows,
  /** What is kept out, and what names a purge when it is pulled. */
  purged: purgedRows,
  /** The blobs, and the manifests, that a manifest holds. */
  blobEdges: edgeRows,
  childEdges: edgeRows,
  objects: objectRows,
  uploads: uploadRows,
  stored: storedRows,
});

export type Seen = z.infer<typeof seen>;

const seenBy: Readonly<Record<keyof Seen, string>> = {
  tasks: 'select kind, key1, key2, due_at from task',
  manifests: 'select repo, digest, state, trash_until from manifest',
  links: 'select repo, digest, deleted_at is not null as is_hidden from link',
  tags: 'select repo, name, manifest from tag',
  trashedTags: 'select repo, name, manifest, purge_after from tag_trash',
  pins: 'select repo, kind, name, reason from pin',
  purged: `select digest as name from blocked union all
    select quarantined_repo || ' ' || case name when '' then digest else name end
    from purge_place where quarantined_repo is not null`,
  blobEdges: 'select repo, manifest, link_digest as held from manifest_blob where link_digest is not null',
  childEdges:
    'select repo, parent as manifest, present_child as held from manifest_child where present_child is not null',
  objects: 'select oid, digest, state from object',
  uploads: 'select id, repo, oid from upload',
  // Several rows count for one state where transactions go side by side.
  stored: `select state, sum(objects) as objects, sum(bytes) as bytes,
      (select count(*) from object where object.state = stored.state) as "countedObjects",
      (select coalesce(sum(size_bytes), 0) from object where object.state = stored.state)
        + case when state = 'pending'
          then (select coalesce(sum(offset_bytes), 0) from upload where oid is not null) else 0 end
        as "countedBytes"
    from stored group by state`,
};

const seenNames = seen.keyof().options;

/** So many calls to a server count as one turn of the event loop: most are statements of a transaction. */
const callsInTurn = 3;

const everyTable = [
  'repository',
  'object',
  'upload',
  'link',
  'manifest',
  'manifest_blob',
  'manifest_child',
  'tag',
  'tag_trash',
  'pin',
  'task',
];

/**
 * A registry as src/server/server.ts puts it together, without HTTP: the real stores of the pair under test, a clock that stands
 * still, and a collector that works when it is told to. Nothing is synced: no test here cuts the power.
 */
export class World implements AsyncDisposable {
  readonly clock = new ManualClock();
  readonly #settings: WorldSettings;
  readonly #root = mkdtempSync(join(temporary, 'wherry-model-'));
  readonly #ended: Promise<unknown>[] = [];
  #generation = 0;
  #process: Process | undefined;
  /** What the registry has logged as an error: nothing that a schedule does is one. */
  readonly errors: string[] = [];

  private constructor(settings: WorldSettings) {
    this.#settings = settings;
  }

  static async open(settings: WorldSettings): Promise<World> {
    const world = new World(settings);
    world.#process = await world.#start(join(world.#root, '0'));
    return world;
  }

  get #running(): Process {
    if (this.#process === undefined) throw new Error('the registry does not run');
    return this.#process;
  }

  get registry(): Registry {
    return this.#running.registry;
  }

  /** The same registry for whoever only looks: pulls are not recorded. */
  get onlooker(): Registry {
    const { registry } = this.#running;
    return { ...registry, pulls: new PullRecorder(registry) };
  }

  async collect(): Promise<void> {
    await this.#running.collector.workOff();
  }

  /** Has `reviews` due reviews made, or fewer where fewer are due. */
  async collectSome(reviews: number): Promise<void> {
    await this.#running.collector.workOff(reviews);
  }

  /** Resolves when nothing goes on in the background. */
  async idle(): Promise<void> {
    await this.#running.registry.reclaimer.idle();
  }

  /** An orderly stop, and a start on the same data. */
  async restart(): Promise<void> {
    const { registry, directory } = this.#running;
    await registry.pulls.stop();
    await this.#running.reader.close();
    await ended(this.#running);
    this.#process = await this.#start(directory);
  }

  /**
   * Resolves after some of the work of what goes on: so many turns of the event loop, or so many calls to the servers that
   * are part of the pair, unless it is over before.
   */
  async workedOn(turns: number, unfinished: Promise<unknown>): Promise<void> {
    if (!hasServer) {
      for (let turn = 0; turn < turns; turn++) await new Promise(setImmediate);
      return;
    }
    const isOver = unfinished.catch(() => undefined);
    await Promise.race([this.#running.gate.after(turns * callsInTurn), isOver]);
  }

  /**
   * Goes on from what kill -9 would leave at this moment: what the system, and each server, was given, and nothing of the
   * process's memory. What the killed process was at is of no consequence: it goes on in a directory that nobody looks at,
   * and gets nothing through to any server.
   */
  async kill(unfinished: Promise<unknown>): Promise<void> {
    const killed = this.#running;
    // It may fail before anybody waits for it.
    const over = unfinished.catch(() => undefined);
    killed.isKilled = true;
    killed.gate.shut();
    this.#generation++;
    const directory = join(this.#root, String(this.#generation));
    // The log's index is memory that processes share, which the system drops with them.
    cpSync(killed.directory, directory, { recursive: true, filter: (path) => !path.endsWith('-shm') });
    await killed.gate.quiet();
    await killed.reader.close();
    forgetKilledProcess(storesBeside(this.#root).tables);
    this.#ended.push(buried(killed, over));
    this.#process = await this.#start(directory);
  }

  /** Where a check finds it, until the process is killed. */
  get places(): Places {
    return { ...storesBeside(this.#root).places, dataDirectory: this.#running.directory };
  }

  /** The rows that a query finds at this moment. */
  async rows(sql: string): Promise<unknown> {
    const [rows] = await this.#running.reader.read([sql]);
    return rows;
  }

  /** What the tables say at this moment. */
  async seen(): Promise<Seen> {
    const found = await this.#running.reader.read(seenNames.map((name) => seenBy[name]));
    return seen.parse(Object.fromEntries(seenNames.map((name, index) => [name, found[index]])));
  }

  /** The tables that have any rows, but for what has happened. */
  async tablesInUse(): Promise<readonly string[]> {
    const found = await this.#running.reader.read(everyTable.map((table) => `select 1 from ${table} limit 1`));
    return everyTable.filter((_, index) => (found[index] ?? []).length > 0);
  }

  /** All files of blobs and parts of blobs, by the name of their object. */
  async files(): Promise<ReadonlyMap<string, Uint8Array>> {
    const objects =
      testedBucket === undefined ? new DirectoryObjects(this.#running.directory) : storesBeside(this.#root).objects;
    const files = new Map<string, Uint8Array>();
    for (const name of await objects.names()) files.set(name, await objects.bytes(name));
    return files;
  }

  async #start(directory: string): Promise<Process> {
    mkdirSync(directory, { recursive: true });
    const gate = new Gate();
    const directories: number[] = [];
    const store = await this.#openMetadata(directory, gate);
    const blobs = await this.#openBlobs(directory, { gate, directories });
    const { windows, sparse, mutation, quotas } = this.#settings;
    const metadata = mutation === undefined ? store : mutation(store);
    const { clock } = this;
    const life = { isKilled: false };
    const log = logInto(this.errors, life);
    if (quotas !== undefined) await putInForce(metadata, quotas());
    const generation = await StoreGeneration.open({ metadata, blobs, clock });
    const responses = new Responses();
    const pulls = new PullRecorder({ metadata, clock, log });
    const processes = new Processes({ metadata, log, siblings: noSiblings });
    const registry: Registry = {
      metadata,
      blobs,
      clock,
      ids: randomIds,
      windows,
      sparse,
      log,
      traffic: { pulled: () => {}, pushed: () => {} },
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
        immutability: this.#settings.immutability ?? noImmutability,
        processes,
      }),
      retention: noRetention,
      quotas: await StoredQuotas.open(metadata, log),
      immutability: this.#settings.immutability ?? noImmutability,
    };
    const pace = new Pace({
      batch: 4,
      perSecond: 1e9,
      shareBesideRequests: 1,
      quietMs: () => Infinity,
      isHurried: () => false,
    });
    const counts = { collected: () => {}, reclaimed: () => {}, failed: () => {} };
    const collector = new Collector({ registry, pace, counts, log });
    const url = storesBeside(this.#root).places.database;
    const reader = url === undefined ? new SqliteReader(directory) : await PostgresReader.open(url);
    await registry.purges.resume();
    await registry.reclaimer.resume();
    return Object.assign(life, { directory, metadata: store, registry, collector, reader, directories, gate });
  }

  async #openMetadata(directory: string, gate: Gate): Promise<MetadataStore> {
    const url = storesBeside(this.#root).places.database;
    if (url === undefined) {
      return SqliteMetadataStore.open(directory, { calls: { syncLog: (_descriptor, done) => done(null) } });
    }
    const { PostgresMetadataStore } = await import('../../src/metadata/postgres/store.ts');
    return await PostgresMetadataStore.open(url, {
      calls: { statement: gate.call, commit: gate.call },
      connections: 4,
    });
  }

  async #openBlobs(
    directory: string,
    { gate, directories }: { readonly gate: Gate; readonly directories: number[] },
  ): Promise<BlobStore> {
    const { bucket } = storesBeside(this.#root).places;
    if (bucket === undefined) {
      return await DirectoryBlobStore.open(directory, {
        open(path, flags, mode) {
          const descriptor = openSync(path, flags, mode);
          if (fstatSync(descriptor).isDirectory()) directories.push(descriptor);
          return descriptor;
        },
        syncObject: async () => {},
        syncShard: async () => {},
        writeSynced: async (path, text) => writeFileSync(path, text),
      });
    }
    const { S3BlobStore } = await import('../../src/blobs/s3/store.ts');
    const { call } = gate;
    const calls = { put: call, beginUpload: call, putPart: call, complete: call, abort: call, remove: call };
    return await S3BlobStore.open(bucket, { calls });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#ended);
    await this.#running.reader.close();
    await ended(this.#running);
    forgetStoresBeside(this.#root);
    rmSync(this.#root, { recursive: true });
  }
}

/** Lets a killed process's work come to its end, so that its directory can be removed. */
async function buried(process: Process, unfinished: Promise<unknown>): Promise<void> {
  await unfinished;
  await ended(process);
}

async function ended({ registry, metadata, directories }: Process): Promise<void> {
  await registry.purges.stop();
  await registry.reclaimer.idle();
  await metadata.close();
  for (const descriptor of directories) closeSync(descriptor);
}

function logInto(errors: string[], life: { readonly isKilled: boolean }): Log {
  const note = (fields: object, message: string) => {
    if (!life.isKilled) errors.push(`${message} ${Bun.inspect(fields)}`);
  };
  const log: Log = {
    debug: () => {},
    info: () => {},
    warn: note,
    error: note,
    child: () => log,
  };
  return log;
}
