import { expect, test } from 'bun:test';
import { fsck } from '../../src/fsck/fsck.ts';
import { digestOf } from '../../src/oci/digest.ts';
import { parseRepositoryName, parseTagName, type RepositoryName } from '../../src/oci/names.ts';
import { clearStale, countOn, type Pages } from '../../src/quotas/count.ts';
import { putInForce } from '../../src/quotas/in-force.ts';
import { QuotaSet } from '../../src/quotas/quota-set.ts';
import { anyClient } from '../../src/registry/actor.ts';
import { deleteBlob } from '../../src/registry/blob.ts';
import { deleteManifest, removeTag } from '../../src/registry/manifests/delete.ts';
import { putManifest } from '../../src/registry/manifests/put.ts';
import { mountBlob } from '../../src/registry/mount.ts';
import { unconditional } from '../../src/registry/precondition.ts';
import { restore } from '../../src/registry/trash/restore.ts';
import { emptyTrash } from '../../src/registry/trash/trash.ts';
import { pushWholeBlob } from '../../src/registry/uploads/whole.ts';
import { SeededRandom } from '../../src/storm/seeded-random.ts';
import { imageOf, ociManifest } from '../http/content.ts';
import { chunkOf } from '../model/chunks.ts';
import { World } from '../model/world.ts';
import { counted, naiveCount } from '../model/naive-count.ts';

const minute = 60_000;
const windows = {
  leaseMs: minute,
  neverTaggedMs: minute,
  trashMs: 3 * minute,
  condemnedMs: 0,
  uploadMs: minute,
};

/** So few that a count stops in the middle of everything. */
const pages: Pages = { links: 2, tags: 1, repositories: 2, cleared: 3 };

const encoder = new TextEncoder();
const blobs = Array.from({ length: 9 }, (_, index) => encoder.encode(`content ${index} `.repeat(index)));
const repos = ['a', 'team/app', 'team/base', 'team/deep/tool', 'z'].map((text) => known(parseRepositoryName(text)));
const manifests = [
  [0, 1],
  [1, 2, 3],
  [4, 5],
  [6, 7, 8],
  [1, 8],
].map((parts) => {
  const [config = blobs[0], ...layers] = parts.map((part) => known(blobs[part]));
  const bytes = encoder.encode(JSON.stringify(imageOf(known(config), ...layers)));
  return { bytes, digest: digestOf('sha256', bytes), parts };
});
// The last one goes with the first image, as older clients keep its signature.
const tags = ['v1', 'v2', 'latest', `${known(manifests[0]).digest.replace(':', '-')}.sig`].map((text) =>
  known(parseTagName(text)),
);

/** Two quotas at a time at least: for all repositories and some, each and together, with and without room. */
const configurations = [
  [
    { repositories: 'team/**', bytes: { hard: '100GB' } },
    { repositories: '**', bytes: { hard: '100GB' } },
  ],
  // The same repositories as before, which need not be counted anew.
  [
    { name: 'renamed', repositories: 'team/**', bytes: { hard: '300B' }, tags: { soft: '3' } },
    { repositories: '**', tags: { hard: '4' } },
  ],
  [
    { repositories: 'team/*', bytes: { soft: '100B', hard: '250B' }, tags: { hard: '3' } },
    { repositories: '**', each: true, bytes: { hard: '300B' }, tags: { soft: '1' } },
  ],
  [
    { repositories: '**', each: true, bytes: { hard: '300B' }, tags: { soft: '1' } },
    { repositories: 'team/**', bytes: { hard: '100GB' } },
  ],
  [
    { repositories: ['a', 'z'], tags: { soft: '1', hard: '2' } },
    { name: 'team', repositories: 'team/**', tags: { hard: '5' } },
  ],
  undefined,
];

function known<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('there is no such thing');
  return value;
}

class Run {
  readonly #world: World;
  readonly #random: SeededRandom;
  readonly #choose: (set: QuotaSet | undefined) => void;
  #set: QuotaSet | undefined;
  /** How often something was refused. */
  refusals = 0;
  /** How many things were compared with a count that was complete. */
  comparisons = 0;

  constructor(world: World, random: SeededRandom, choose: (set: QuotaSet | undefined) => void) {
    this.#world = world;
    this.#random = random;
    this.#choose = choose;
  }

  async step(): Promise<void> {
    const random = this.#random;
    const happening = random.next();
    if (happening < 0.02) await this.#reconfigure();
    else if (happening < 0.04) await this.#world.kill(this.#change());
    else await this.#change();
    for (let steps = random.between(0, 2); steps > 0; steps--) await this.#count();
    await this.#compare();
  }

  async #reconfigure(): Promise<void> {
    const given = this.#random.pick(configurations);
    const parsed = given === undefined ? undefined : QuotaSet.parse(given);
    if (parsed?.ok === false) throw new Error(parsed.problems.join('\n'));
    this.#set = parsed?.set;
    this.#choose(this.#set);
    // By another process, of which this one finds out by itself; or by its own new start.
    if (this.#random.chance(0.5)) await putInForce(this.#world.registry.metadata, this.#set);
    else await this.#world.restart();
  }

  async #count(): Promise<boolean> {
    const { metadata } = this.#world.registry;
    if (await metadata.write(() => countOn(pages))) return true;
    return await metadata.write(() => clearStale(pages));
  }

  async #compare(): Promise<void> {
    if (this.#set === undefined) return;
    const is = await counted(this.#world);
    const shouldBe = await naiveCount(this.#world, this.#set);
    const isComplete = (key: string): boolean => is.complete.has(Number(key.split(' ')[0]));
    expect(is.blobs.filter(isComplete)).toEqual(shouldBe.blobs.filter(isComplete));
    const usedIn = ({ used }: { readonly used: typeof shouldBe.used }) =>
      Object.fromEntries(
        [...used].filter(([key]) => isComplete(key)).toSorted(([one], [other]) => (one < other ? -1 : 1)),
      );
    const nonZero = [...shouldBe.used].filter(([, { bytes, tags: count }]) => bytes > 0 || count > 0);
    expect(usedIn(is)).toEqual(usedIn({ used: new Map(nonZero) }));
    this.comparisons += is.complete.size;
  }

  /** Counts on until all is counted, and compares with what another one counts too. */
  async end(): Promise<void> {
    while (await this.#count());
    await this.#compare();
    const { places, clock } = this.#world;
    const found = await Array.fromAsync(fsck({ ...places, now: clock.now() }));
    expect(found.filter(({ code }) => code === 'F15')).toEqual([]);
    expect(await this.#world.rows(`select * from quota where phase <> 'complete'`)).toEqual([]);
    if (this.#set === undefined) expect(await this.#world.rows('select quota from quota_blob')).toEqual([]);
  }

  async #change(): Promise<void> {
    const random = this.#random;
    const { registry, clock } = this.#world;
    const repo = known(random.pick(repos));
    const manifest = known(random.pick(manifests));
    const tag = known(random.pick(tags));
    const bytes = known(random.pick(blobs));
    const digest = digestOf('sha256', bytes);
    switch (random.between(0, 10)) {
      case 0:
        return this.#note(await pushWholeBlob(registry, { repo, digest, ...chunkOf(bytes) }));
      case 1:
        return this.#note(await mountBlob(registry, { repo, digest, from: undefined }));
      case 2:
      case 3:
      case 4:
        return await this.#pushImage(repo, manifest);
      case 5:
        return void (await removeTag(registry, repo, tag, unconditional));
      case 6:
        return void (await deleteManifest(registry, repo, manifest.digest, unconditional));
      case 7:
        return void (await deleteBlob(registry, repo, digest));
      case 8: {
        const target = random.chance(0.5)
          ? { repo, tag, digest: undefined }
          : { repo, tag: undefined, digest: manifest.digest };
        return void (await restore(registry, { target, actor: anyClient }));
      }
      case 9:
        clock.advance(random.between(1, 2 * minute));
        if (random.chance(0.1)) await emptyTrash(registry, { target: undefined, actor: anyClient, isTrial: false });
        return;
      default:
        return await this.#world.collectSome(random.between(1, 8));
    }
  }

  async #pushImage(repo: RepositoryName, { bytes, parts }: (typeof manifests)[number]): Promise<void> {
    const { registry } = this.#world;
    for (const part of parts) {
      const blob = known(blobs[part]);
      this.#note(await pushWholeBlob(registry, { repo, digest: digestOf('sha256', blob), ...chunkOf(blob) }));
    }
    const named = tags.filter(() => this.#random.chance(0.4));
    const [tag] = named;
    const digest = digestOf('sha256', bytes);
    this.#note(
      await putManifest(registry, {
        repo,
        reference: tag === undefined ? { kind: 'digest', digest } : { kind: 'tag', tag },
        tags: named,
        precondition: unconditional,
        bytes,
        contentType: ociManifest,
      }),
    );
  }

  #note({ outcome }: { readonly outcome: string }): void {
    if (outcome === 'over-quota') this.refusals++;
  }
}

test('while a quota is being counted nothing is refused, and once it is, what does not fit is', async () => {
  const parsed = QuotaSet.parse([{ repositories: '**', bytes: { hard: '10B' }, tags: { hard: '0' } }]);
  const set = known(parsed.ok ? parsed.set : undefined);
  await using world = await World.open({ windows, sparse: { images: false, indexes: false }, quotas: () => set });
  const { registry } = world;
  const push = async (place: number) => {
    const bytes = known(blobs[place]);
    const blob = { repo: known(repos[0]), digest: digestOf('sha256', bytes), ...chunkOf(bytes) };
    return (await pushWholeBlob(registry, blob)).outcome;
  };
  expect([await push(7), await push(8)]).toEqual(['created', 'created']);
  while (await registry.metadata.write(() => countOn(pages)));
  expect([await push(7), await push(6)]).toEqual(['created', 'over-quota']);
});

test('whatever happens, and whenever counting begins, what is counted is what a naive count gives', async () => {
  let [refusals, comparisons] = [0, 0];
  const first = Date.now() % 1_000_000;
  for (let seed = first; seed < first + 10; seed++) {
    let set: QuotaSet | undefined;
    await using world = await World.open({
      windows,
      sparse: { images: false, indexes: false },
      quotas: () => set,
    });
    const run = new Run(world, new SeededRandom(seed), (chosen) => {
      set = chosen;
    });
    try {
      for (let step = 0; step < 400; step++) await run.step();
      await run.end();
    } catch (error) {
      throw new Error(`seed ${seed} fails`, { cause: error });
    }
    expect(world.errors).toEqual([]);
    refusals += run.refusals;
    comparisons += run.comparisons;
  }
  expect(refusals).toBeGreaterThan(10);
  expect(comparisons).toBeGreaterThan(500);
}, 600_000);
