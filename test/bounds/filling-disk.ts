import { expect } from 'bun:test';
import { z } from 'zod';
import { storageStatus } from '../../src/http/admin/status.ts';
import type { PolicyDefinition } from '../../src/retention/definition.ts';
import { parsePolicySet } from '../../src/retention/policy-set.ts';
import type { SyncConnection } from '../../src/metadata/operation.ts';
import { digestOf, freshBytes, imageOf } from '../http/content.ts';
import { ServedRegistry, type Settings } from '../http/served-registry.ts';
import { StandingStill } from '../metadata/standing-still.ts';
import { WrappedMetadata } from '../metadata/wrapped-metadata.ts';
import { testedBucket } from '../pairs/pair.ts';

export const repo = 'team/app';
/** A hundredth of the disk, in bytes: it is a small one, which is soon filled. */
export const percent = 64 * 1024;
export const hour = 3_600_000;

/** So many percent of the disk, as a setting in bytes. */
export function bytes(percents: number): string {
  return `${percents * percent}B`;
}

/** A repository of those who are not asked to make room. */
const othersRepo = 'others/app';

/** A share of the disk, or the same in a bucket, which has no disk to keep something free on. */
const bounds: Settings =
  testedBucket === undefined
    ? { 'storage.low': '60%', 'storage.high': '80%', 'storage.reserve': bytes(2) }
    : { 'storage.low': bytes(60), 'storage.high': bytes(80) };

/** A database whose size does not count, so that it is blobs alone that pass the bounds: on a disk it is given what is used. */
class WeightlessMetadata extends WrappedMetadata {
  override async sizeBytes(): Promise<number> {
    return 0;
  }

  protected override watching(connection: SyncConnection): SyncConnection {
    return connection;
  }
}

/** A disk, as full as the registry's blobs and something else make it; or as much in a bucket. */
export class FillingDisk implements AsyncDisposable {
  readonly registry: ServedRegistry;
  /** What is not the registry's, on a disk. */
  othersBytes = 0;
  /** What others keep in the bucket. */
  #othersObjects = 0;

  #settings: Settings;
  #store: StandingStill | undefined;

  private constructor(registry: ServedRegistry, settings: Settings) {
    this.registry = registry;
    this.#settings = settings;
    registry.wrapMetadata = (metadata) => (this.#store = new StandingStill(new WeightlessMetadata(metadata)));
  }

  static async start(changed: Settings = {}): Promise<FillingDisk> {
    const settings = { 'windows.lease': '1h', 'windows.condemned': '10m', ...bounds, ...changed };
    const registry = await ServedRegistry.start({ 'storage.high': 'off' });
    await registry.stop();
    const disk = new FillingDisk(registry, settings);
    await registry.resume(settings);
    return disk;
  }

  /** Serves on with other settings. */
  async restart(changed: Settings = {}): Promise<void> {
    await this.registry.stop();
    this.#settings = { ...this.#settings, ...changed };
    await this.registry.resume(this.#settings);
  }

  /** Has something happen just before, or after, the next write that waits for the disk, which a look comes to. */
  async lookedWhile(when: 'before' | 'after', happens: () => Promise<unknown>): Promise<void> {
    const store = this.#store;
    if (store === undefined) throw new Error('the registry has no metadata');
    store.arm(when);
    const looking = this.looked(1);
    await store.reached.promise;
    await happens();
    store.goOn.resolve();
    await looking;
  }

  /** Has others take so many percent of the disk: of the disk, or in the bucket an image that stays. */
  async othersTake(percents: number): Promise<void> {
    if (testedBucket === undefined) {
      this.othersBytes = percents * percent;
      return;
    }
    const config = freshBytes();
    await this.#pushImage(othersRepo, 'stays', config, freshBytes(percents * percent - config.byteLength));
    this.#othersObjects += 2;
  }

  /** How many objects there are of what is not others'. */
  async objectCount(): Promise<number> {
    return (await this.registry.objectFiles()).length - this.#othersObjects;
  }

  /** Pushes an image of so many percent of the disk, by its digest where it has no tag. @returns its digest */
  async push(tag: string | undefined, percents: number): Promise<string> {
    return await this.#pushImage(repo, tag, freshBytes(), freshBytes(percents * percent));
  }

  /** Serves on with these policies, which may do what they say, also to make room. */
  async use(...policies: PolicyDefinition[]): Promise<void> {
    const parsed = parsePolicySet(policies);
    if (!parsed.ok) throw new Error(parsed.problems.join());
    await this.registry.stop();
    this.registry.policies = parsed.set;
    await this.registry.resume(this.#settings);
    await this.registry.pruned();
    this.registry.prune = async (neededBytes, limits) => await this.registry.makeRoom(neededBytes, limits);
  }

  /** Pulls the manifest that a tag leads to. @returns the status */
  async pull(tag: string): Promise<number> {
    return (await this.registry.send(`/v2/${repo}/manifests/${tag}`)).status;
  }

  async tags(): Promise<readonly string[]> {
    const answer = await this.registry.send(`/v2/${repo}/tags/list`);
    return z.object({ tags: z.array(z.string()) }).parse(await answer.json()).tags;
  }

  async status() {
    return storageStatus.answer.parse(await (await this.registry.admin('GET', '/status')).json());
  }

  async remove(tag: string): Promise<void> {
    expect((await this.registry.send(`/v2/${repo}/manifests/${tag}`, { method: 'DELETE' })).status).toBe(202);
  }

  async restore(tag: string): Promise<number> {
    return (await this.registry.admin('POST', '/trash/restore', { target: `${repo}:${tag}` })).status;
  }

  /** Looks as often as it takes a server some seconds, and lets the collector work in between. */
  async looked(times = 5): Promise<void> {
    for (let time = 0; time < times; time++) {
      const [row] = this.registry.rows<{ bytes: number }>('select sum(bytes) as bytes from stored');
      const usedBytes = (row?.bytes ?? 0) + this.othersBytes;
      this.registry.disk = { usedBytes, freeBytes: 100 * percent - usedBytes, totalBytes: 100 * percent };
      await this.registry.looked();
      await this.registry.collected();
      this.registry.clock.advance(1000);
    }
  }

  /** The tags that are in the trash and can be restored. */
  inTrash(): string[] {
    const now = this.registry.clock.now();
    return this.registry
      .rows<{ name: string }>('select name from tag_trash where purge_after > ? order by purge_after', now)
      .map(({ name }) => name);
  }

  events(): string[] {
    return this.registry
      .rows<{ kind: string }>(`select kind from event where kind like 'disk.%' order by id`)
      .map(({ kind }) => kind);
  }

  warnings(): string {
    return this.registry.logged.join('');
  }

  async #pushImage(to: string, tag: string | undefined, config: Uint8Array, layer: Uint8Array): Promise<string> {
    await this.registry.pushBlob(to, config);
    await this.registry.pushBlob(to, layer);
    const image = JSON.stringify(imageOf(config, layer));
    expect((await this.registry.putManifest(to, tag ?? digestOf(image), image)).status).toBe(201);
    return digestOf(image);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.registry[Symbol.asyncDispose]();
  }
}
