import { Database } from 'bun:sqlite';
import {
  closeSync,
  cpSync,
  fstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { temporary } from '../pairs/temporary.ts';
import { ManualClock } from '../server/manual-clock.ts';
import { DirectoryBlobStore } from '../../src/blobs/directory/store.ts';
import { Collector } from '../../src/collector/collector.ts';
import { Pace } from '../../src/collector/pace.ts';
import type { Log } from '../../src/log/log.ts';
import { SqliteMetadataStore } from '../../src/metadata/sqlite/store.ts';
import type { MetadataStore } from '../../src/metadata/store.ts';
import { randomIds } from '../../src/registry/id-generator.ts';
import { type Immutability, noImmutability } from '../../src/registry/immutability.ts';
import { everyGet } from '../../src/registry/puller.ts';
import { PullRecorder } from '../../src/registry/pull-recorder.ts';
import { putInForce } from '../../src/quotas/in-force.ts';
import type { QuotaSet } from '../../src/quotas/quota-set.ts';
import { noQuotas } from '../../src/registry/quotas.ts';
import { PurgeFinisher } from '../../src/registry/purge-finisher.ts';
import { RecentManifests } from '../../src/registry/recent-manifests.ts';
import { Reclaimer } from '../../src/registry/reclaimer.ts';
import { Responses } from '../../src/registry/responses.ts';
import { noSiblings } from '../../src/registry/siblings.ts';
import { unboundedRoom } from '../../src/registry/room.ts';
import { StoreGeneration } from '../../src/registry/store-generation.ts';
import type { Registry, SparsePolicy, Windows } from '../../src/registry/registry.ts';
import { noRetention } from '../../src/registry/retention-review.ts';
import { UploadSessions } from '../../src/registry/upload-sessions.ts';

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

/** The parts of one process, from its start to its end. */
interface Process {
  readonly directory: string;
  readonly metadata: SqliteMetadataStore;
  readonly registry: Registry;
  readonly collector: Collector;
  readonly database: Database;
  /** Of the directories that the store keeps open for as long as a process lasts. */
  readonly directories: readonly number[];
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

/** What the tables say, and what lies on the disk. */
export interface Seen {
  readonly tasks: z.infer<typeof taskRows>;
  readonly manifests: z.infer<typeof manifestRows>;
  readonly links: z.infer<typeof linkRows>;
  readonly tags: z.infer<typeof tagRows>;
  readonly trashedTags: z.infer<typeof trashedTagRows>;
  readonly pins: z.infer<typeof pinRows>;
  /** What is kept out, and what names a purge when it is pulled. */
  readonly purged: z.infer<typeof purgedRows>;
  /** The blobs, and the manifests, that a manifest holds. */
  readonly blobEdges: z.infer<typeof edgeRows>;
  readonly childEdges: z.infer<typeof edgeRows>;
  readonly objects: z.infer<typeof objectRows>;
  readonly uploads: z.infer<typeof uploadRows>;
  readonly stored: z.infer<typeof storedRows>;
}

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
 * A registry as src/server.ts puts it together, without HTTP: the real stores in a directory of its own, a clock that
 * stands still, and a collector that works when it is told to. Nothing is synced: no test here cuts the power.
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
    this.#running.database.close();
    await ended(this.#running);
    this.#process = await this.#start(directory);
  }

  /**
   * Goes on from what kill -9 would leave at this moment: what the system was given, and nothing of the process's memory.
   * What the killed process was at is of no consequence: it goes on in a directory that nobody looks at.
   */
  async kill(unfinished: Promise<unknown>): Promise<void> {
    const killed = this.#running;
    this.#generation++;
    const directory = join(this.#root, String(this.#generation));
    // The log's index is memory that processes share, which the system drops with them.
    cpSync(killed.directory, directory, { recursive: true, filter: (path) => !path.endsWith('-shm') });
    killed.database.close();
    this.#ended.push(buried(killed, unfinished));
    this.#process = await this.#start(directory);
  }

  /** Where its data is, until the process is killed. */
  get directory(): string {
    return this.#running.directory;
  }

  /** The rows that a query finds at this moment. */
  rows(sql: string): unknown {
    return this.#running.database.query(sql).all();
  }

  /** What the tables say at this moment. */
  seen(): Seen {
    const read = (sql: string): unknown => this.#running.database.query(sql).all();
    return {
      tasks: taskRows.parse(read('select kind, key1, key2, due_at from task')),
      manifests: manifestRows.parse(read('select repo, digest, state, trash_until from manifest')),
      links: linkRows.parse(read('select repo, digest, deleted_at is not null as is_hidden from link')),
      tags: tagRows.parse(read('select repo, name, manifest from tag')),
      trashedTags: trashedTagRows.parse(read('select repo, name, manifest, purge_after from tag_trash')),
      pins: pinRows.parse(read('select repo, kind, name, reason from pin')),
      purged: purgedRows.parse(
        read(
          `select digest as name from blocked union all
           select quarantined_repo || ' ' || case name when '' then digest else name end
           from purge_place where quarantined_repo is not null`,
        ),
      ),
      blobEdges: edgeRows.parse(
        read('select repo, manifest, link_digest as held from manifest_blob where link_digest is not null'),
      ),
      childEdges: edgeRows.parse(
        read(
          'select repo, parent as manifest, present_child as held from manifest_child where present_child is not null',
        ),
      ),
      objects: objectRows.parse(read('select oid, digest, state from object')),
      uploads: uploadRows.parse(read('select id, repo, oid from upload')),
      stored: storedRows.parse(
        read(
          `select state, objects, bytes,
             (select count(*) from object where object.state = stored.state) as countedObjects,
             (select coalesce(sum(size_bytes), 0) from object where object.state = stored.state)
               + case when state = 'pending'
                 then (select coalesce(sum(offset_bytes), 0) from upload where oid is not null) else 0 end
               as countedBytes
           from stored`,
        ),
      ),
    };
  }

  /** The tables that have any rows, but for what has happened. */
  tablesInUse(): readonly string[] {
    const { database } = this.#running;
    return everyTable.filter((table) => database.query(`select 1 from ${table} limit 1`).get() !== null);
  }

  /** All files of blobs and parts of blobs, by the name of their object. */
  files(): ReadonlyMap<string, Uint8Array> {
    const root = join(this.#running.directory, 'objects');
    const files = new Map<string, Uint8Array>();
    for (const shard of readdirSync(root)) {
      for (const oid of readdirSync(join(root, shard))) files.set(oid, readFileSync(join(root, shard, oid)));
    }
    return files;
  }

  async #start(directory: string): Promise<Process> {
    mkdirSync(directory, { recursive: true });
    const sqlite = SqliteMetadataStore.open(directory, { calls: { syncLog: (_descriptor, done) => done(null) } });
    const directories: number[] = [];
    const blobs = await DirectoryBlobStore.open(directory, {
      open(path, flags, mode) {
        const descriptor = openSync(path, flags, mode);
        if (fstatSync(descriptor).isDirectory()) directories.push(descriptor);
        return descriptor;
      },
      syncObject: async () => {},
      syncShard: async () => {},
      writeSynced: async (path, text) => writeFileSync(path, text),
    });
    const { windows, sparse, mutation, quotas } = this.#settings;
    const metadata = mutation === undefined ? sqlite : mutation(sqlite);
    const { clock } = this;
    const set = quotas?.();
    if (quotas !== undefined) await putInForce(metadata, set);
    const log = logInto(this.errors);
    const generation = await StoreGeneration.open({ metadata, blobs, clock });
    const responses = new Responses();
    const pulls = new PullRecorder({ metadata, clock, log });
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
      reclaimer: new Reclaimer({ metadata, blobs, log, generation }),
      responses,
      siblings: noSiblings,
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
      }),
      retention: noRetention,
      quotas: set ?? noQuotas,
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
    const database = new Database(join(directory, 'wherry.db'), { readonly: true });
    await registry.purges.resume();
    await registry.reclaimer.resume();
    return { directory, metadata: sqlite, registry, collector, database, directories };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#ended);
    this.#running.database.close();
    await ended(this.#running);
    rmSync(this.#root, { recursive: true });
  }
}

/** Lets a killed process's work come to its end, so that its directory can be removed. */
async function buried(process: Process, unfinished: Promise<unknown>): Promise<void> {
  await unfinished.catch(() => undefined);
  await ended(process);
}

async function ended({ registry, metadata, directories }: Process): Promise<void> {
  await registry.purges.stop();
  await registry.reclaimer.idle();
  await metadata.close();
  for (const descriptor of directories) closeSync(descriptor);
}

function logInto(errors: string[]): Log {
  const log: Log = {
    debug: () => {},
    info: () => {},
    warn: (fields, message) => void errors.push(`${message} ${Bun.inspect(fields)}`),
    error: (fields, message) => void errors.push(`${message} ${Bun.inspect(fields)}`),
    child: () => log,
  };
  return log;
}
