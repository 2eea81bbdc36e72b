import { expect, test } from 'bun:test';
import type { Operation } from '../../src/metadata/operation.ts';
import type { Begun, MetadataStore, OldPages, Seen, Topic, WriteOptions } from '../../src/metadata/store.ts';
import { digestOf } from '../../src/oci/digest.ts';
import { parseRepositoryName, parseTagName } from '../../src/oci/names.ts';
import { countOn } from '../../src/quotas/count.ts';
import { QuotaSet } from '../../src/quotas/quota-set.ts';
import { getManifest } from '../../src/registry/manifests/get.ts';
import { putManifest } from '../../src/registry/manifests/put.ts';
import { mountBlob } from '../../src/registry/mount.ts';
import { unconditional } from '../../src/registry/precondition.ts';
import { pushWholeBlob } from '../../src/registry/uploads/whole.ts';
import { freshBytes, imageOf, ociManifest } from '../http/content.ts';
import { chunkOf } from '../model/chunks.ts';
import { World } from '../model/world.ts';

const day = 86_400_000;
const windows = { leaseMs: day, neverTaggedMs: day, trashMs: day, condemnedMs: day, uploadMs: day };

/** Counts the statements of all operations. */
class CountingStore implements MetadataStore {
  readonly #store: MetadataStore;
  statements = 0;

  constructor(store: MetadataStore) {
    this.#store = store;
  }

  *#counted<T>(steps: Operation<T>): Operation<T> {
    for (;;) {
      const next = steps.next();
      if (next.done === true) return next.value;
      this.statements++;
      yield next.value;
    }
  }

  async read<T>(operation: () => Operation<T>): Promise<T> {
    return await this.#store.read(() => this.#counted(operation()));
  }

  async write<T>(operation: (begun: Begun) => Operation<T>, options?: WriteOptions): Promise<T> {
    return await this.#store.write((begun) => this.#counted(operation(begun)), options);
  }

  async writeUnsynced<T>(operation: (begun: Begun) => Operation<T>, options?: WriteOptions): Promise<T> {
    return await this.#store.writeUnsynced((begun) => this.#counted(operation(begun)), options);
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

/** How many statements each step of a push takes. */
async function statements(quotas: unknown): Promise<Readonly<Record<string, number>>> {
  const parsed = quotas === undefined ? undefined : QuotaSet.parse(quotas);
  const set = parsed?.ok === true ? parsed.set : undefined;
  const counting: CountingStore[] = [];
  await using world = await World.open({
    windows,
    sparse: { images: false, indexes: false },
    quotas: () => set,
    mutation(metadata) {
      const store = new CountingStore(metadata);
      counting.push(store);
      return store;
    },
  });
  const { registry } = world;
  const [store] = counting;
  const [repo, other, tag] = [parseRepositoryName('team/app'), parseRepositoryName('team/b'), parseTagName('x')];
  if (store === undefined || repo === undefined || other === undefined || tag === undefined)
    throw new Error('no names');
  const countAll = function* all(): Operation<void> {
    while (yield* countOn());
  };
  await registry.metadata.write(countAll);
  const taken: Record<string, number> = {};
  const measure = async (name: string, act: () => Promise<unknown>): Promise<void> => {
    const before = store.statements;
    await act();
    taken[name] = store.statements - before;
    // What a copy took is given back in the background.
    await world.idle();
  };
  const bytes = freshBytes();
  const digest = digestOf('sha256', bytes);
  const manifest = new TextEncoder().encode(JSON.stringify(imageOf(bytes)));
  const push = () => pushWholeBlob(registry, { repo, digest, ...chunkOf(bytes) });
  const put = () =>
    putManifest(registry, {
      repo,
      reference: { kind: 'tag', tag },
      tags: [tag],
      precondition: unconditional,
      bytes: manifest,
      contentType: ociManifest,
    });
  await measure('a new blob', push);
  await measure('the same again', push);
  await measure('its mount', () => mountBlob(registry, { repo: other, from: repo, digest }));
  await measure('a manifest with a new tag', put);
  await measure('the same tag again', put);
  await measure('a pull', () => getManifest(registry, repo, { kind: 'tag', tag }));
  return taken;
}

test('a quota costs a push few statements, and none where no quota is for the repository', async () => {
  const without = await statements(undefined);
  expect(await statements([{ repositories: 'elsewhere', bytes: { hard: '1GB' }, tags: { hard: 5 } }])).toEqual(without);
  const limited = await statements([{ repositories: 'team/**', bytes: { hard: '1GB' }, tags: { hard: 5 } }]);
  const more = Object.fromEntries(Object.entries(limited).map(([name, count]) => [name, count - (without[name] ?? 0)]));
  expect(more).toEqual({
    'a new blob': 3,
    'the same again': 1,
    'its mount': 2,
    'a manifest with a new tag': 2,
    'the same tag again': 0,
    'a pull': 0,
  });
});
