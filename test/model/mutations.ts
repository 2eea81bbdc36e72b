import type { Operation, Step, SyncConnection } from '../../src/metadata/operation.ts';
import {
  anyManifestOfBlob,
  anyTagOf,
  anyUploadBegunBy,
  anyUploadEndedSince,
  parentsOf,
} from '../../src/metadata/queries/holds.ts';
import { renewLinkLease } from '../../src/metadata/queries/links.ts';
import {
  attachAbsentChildEdges,
  recordManifestPull,
  renewManifestLease,
} from '../../src/metadata/queries/manifests.ts';
import { findPin, pinnedTagOf } from '../../src/metadata/queries/pins.ts';
import {
  releaseAllFromQuarantine,
  releaseManifestFromQuarantine,
  releaseTagFromQuarantine,
} from '../../src/metadata/queries/purge-quarantine.ts';
import { killLeavingObjects, reviewLinksOfPurge } from '../../src/metadata/queries/purge-removals.ts';
import { blockDigest } from '../../src/metadata/queries/purges.ts';
import { removeQuotaLink, takeQuotaTags } from '../../src/metadata/queries/quotas.ts';
import { allReferrersOf, deleteTrashedTag, releaseManifest } from '../../src/metadata/queries/removals.ts';
import { insertTagTrash, touchTag } from '../../src/metadata/queries/tags.ts';
import { upsertTask } from '../../src/metadata/queries/tasks.ts';
import { endManifestTrash, endTagTrash, showBlobsOf } from '../../src/metadata/queries/trash.ts';
import type { Parameters, Query } from '../../src/metadata/query.ts';
import type { Begun, MetadataStore, OldPages, Seen, Topic } from '../../src/metadata/store.ts';
import type { Mutation } from './world.ts';

/** A query that does not reach the database: it finds nothing, and changes nothing, whatever it says. */
interface Unheard {
  readonly query: object;
  /** Only where it would have these parameters. */
  readonly where?: Readonly<Record<string, string>>;
}

/** A mistake that somebody could make, and that the tests must see. */
export interface KnownMistake {
  readonly name: string;
  readonly mutation: Mutation;
}

function mistake(name: string, unheard: Unheard): KnownMistake {
  return { name, mutation: (metadata) => new DeafStore(metadata, unheard) };
}

/** Each takes one query away from the operations of the registry and of the collector, whose code stays as it is. */
export const mistakes: readonly KnownMistake[] = [
  mistake('a HEAD of a blob does not renew its lease (R1)', { query: renewLinkLease }),
  mistake('a HEAD of a manifest does not renew its lease (R15)', { query: renewManifestLease }),
  mistake('nobody asks for the review of a link (I9)', { query: upsertTask, where: { kind: 'link' } }),
  mistake('nobody asks for the review of a manifest (I9)', { query: upsertTask, where: { kind: 'manifest' } }),
  mistake('nobody asks for the review of an object (I9)', { query: upsertTask, where: { kind: 'object' } }),
  mistake('the search for holds does not look at indexes (R16)', { query: parentsOf }),
  mistake('the search for holds does not look at tags (R14)', { query: anyTagOf }),
  mistake('the review of a link does not look at manifests (R3)', { query: anyManifestOfBlob }),
  mistake('a manifest that goes does not look at its referrers (R21)', { query: allReferrersOf }),
  mistake('what an index lets go of keeps no lease (R15)', { query: releaseManifest }),
  mistake('an upload under way keeps nothing (I7)', { query: anyUploadBegunBy }),
  mistake('an upload that has ended keeps nothing for the push that it was for (I7)', { query: anyUploadEndedSince }),
  mistake('a restore leaves blobs hidden (R26)', { query: showBlobsOf }),
  mistake('a restore leaves in the trash what the tag leads to again', { query: deleteTrashedTag }),
  mistake('a manifest that comes is not held by the indexes that list it (R20)', { query: attachAbsentChildEdges }),
  mistake('emptying the trash leaves the manifests in it', { query: endManifestTrash }),
  mistake('emptying the trash leaves what tags led to in it', { query: endTagTrash }),
  mistake('nobody looks at the pin of a manifest', { query: findPin, where: { kind: 'manifest' } }),
  mistake('nobody looks at the pin of a repository', { query: findPin, where: { kind: 'repository' } }),
  mistake('nobody looks at the pin of a tag', { query: findPin, where: { kind: 'tag' } }),
  mistake('the delete of a manifest does not look at the pins of its tags', { query: pinnedTagOf }),
  mistake('a link that goes still counts in its quota', { query: removeQuotaLink }),
  mistake('a tag that goes still counts in its quota', { query: takeQuotaTags }),
  mistake('a HEAD of a tag does not keep it from being pruned (R22)', { query: touchTag }),
  mistake('a pull does not keep a tag from being pruned (R25)', { query: recordManifestPull }),
  mistake('what a deleted or pruned tag led to is not in the trash (R23)', { query: insertTagTrash }),
  mistake('a purge keeps nothing out (R47)', { query: blockDigest }),
  mistake('a purge leaves what lies condemned (R47)', { query: killLeavingObjects }),
  mistake('a purge has nobody look at what its images needed beside (I9)', { query: reviewLinksOfPurge }),
  mistake('a tag that is pushed again still names the purge', { query: releaseTagFromQuarantine }),
  mistake('a manifest that is pushed again still names the purge', { query: releaseManifestFromQuarantine }),
  mistake('a purge that is lifted is named all the same', { query: releaseAllFromQuarantine }),
];

class DeafStore implements MetadataStore {
  readonly #store: MetadataStore;
  readonly #unheard: Unheard;

  constructor(store: MetadataStore, unheard: Unheard) {
    this.#store = store;
    this.#unheard = unheard;
  }

  async read<T>(operation: () => Operation<T>): Promise<T> {
    return await this.#store.read(() => deafened(operation(), this.#unheard));
  }

  async write<T>(operation: (begun: Begun) => Operation<T>): Promise<T> {
    return await this.#store.write((begun) => deafened(operation(begun), this.#unheard));
  }

  async writeUnsynced<T>(operation: (begun: Begun) => Operation<T>): Promise<T> {
    return await this.#store.writeUnsynced((begun) => deafened(operation(begun), this.#unheard));
  }

  async durable(what?: Seen): Promise<void> {
    await this.#store.durable(what);
  }

  async forgetOldPages(): Promise<OldPages> {
    return await this.#store.forgetOldPages();
  }

  get isShared(): boolean {
    return this.#store.isShared;
  }
  async settledEvents(): Promise<number> {
    return await this.#store.settledEvents();
  }
  async processesBefore(migration: number): Promise<readonly string[]> {
    return await this.#store.processesBefore(migration);
  }
  async sizeBytes(): Promise<number> {
    return await this.#store.sizeBytes();
  }
  get commits(): number | undefined {
    return this.#store.commits;
  }

  announce(topic: Topic): void {
    this.#store.announce(topic);
  }

  onAnnouncement(heard: (topic: Topic) => void): void {
    this.#store.onAnnouncement(heard);
  }

  watch(committed: () => void): void {
    this.#store.watch(committed);
  }

  async isReady(): Promise<boolean> {
    return await this.#store.isReady();
  }

  async close(): Promise<void> {
    await this.#store.close();
  }
}

/** The same operation on a connection that does not hear one query. */
function* deafened<T>(operation: Operation<T>, unheard: Unheard): Operation<T> {
  for (;;) {
    const next = operation.next();
    if (next.done === true) return next.value;
    yield new DeafStep(next.value, unheard);
  }
}

class DeafStep implements Step {
  readonly #step: Step;
  readonly #unheard: Unheard;

  constructor(step: Step, unheard: Unheard) {
    this.#step = step;
    this.#unheard = unheard;
  }

  execute(connection: SyncConnection): void {
    this.#step.execute(new DeafConnection(connection, this.#unheard));
  }

  async executeLater(): Promise<void> {
    throw new Error('SQLite answers at once');
  }
}

class DeafConnection implements SyncConnection {
  readonly #connection: SyncConnection;
  readonly #unheard: Unheard;

  constructor(connection: SyncConnection, unheard: Unheard) {
    this.#connection = connection;
    this.#unheard = unheard;
  }

  all<P extends Parameters<P>, R>(query: Query<P, R>, parameters: P): R[] {
    return this.#isUnheard(query, parameters) ? [] : this.#connection.all(query, parameters);
  }

  first<P extends Parameters<P>, R>(query: Query<P, R>, parameters: P): R | undefined {
    return this.#isUnheard(query, parameters) ? undefined : this.#connection.first(query, parameters);
  }

  run<P extends Parameters<P>, R>(query: Query<P, R>, parameters: P): number {
    return this.#isUnheard(query, parameters) ? 1 : this.#connection.run(query, parameters);
  }

  #isUnheard(query: object, parameters: object): boolean {
    if (query !== this.#unheard.query) return false;
    const given = new Map<string, unknown>(Object.entries(parameters));
    return Object.entries(this.#unheard.where ?? {}).every(([name, value]) => given.get(name) === value);
  }
}
