import { expect } from 'bun:test';
import { z } from 'zod';
import { storageStatus } from '../../src/http/admin/status.ts';
import { nothingPruned } from '../../src/pruning/prune-repository.ts';
import type { PolicyDefinition } from '../../src/retention/definition.ts';
import { parsePolicySet } from '../../src/retention/policy-set.ts';
import { digestOf, freshBytes, imageOf } from '../http/content.ts';
import { ServedRegistry, type Settings } from '../http/served-registry.ts';

export const repo = 'team/app';
export const mib = 1024 * 1024;
export const hour = 3_600_000;

/** A disk of 100 MiB, as full as the registry's blobs and something else make it. */
export class FillingDisk implements AsyncDisposable {
  readonly registry: ServedRegistry;
  /** What is not the registry's. */
  othersBytes = 0;

  readonly #settings: Settings;

  private constructor(registry: ServedRegistry, settings: Settings) {
    this.registry = registry;
    this.#settings = settings;
  }

  static async start(changed: Settings = {}): Promise<FillingDisk> {
    const windows = { 'windows.lease': '1h', 'windows.condemned': '10m', 'storage.low': '60%', 'storage.high': '80%' };
    const settings = { ...windows, 'storage.reserve': '2MiB', ...changed };
    return new FillingDisk(await ServedRegistry.start(settings), settings);
  }

  /** Pushes an image of so many MiB, by its digest where it has no tag. @returns its digest */
  async push(tag: string | undefined, sizeMib: number, shared: Uint8Array = freshBytes()): Promise<string> {
    const layer = freshBytes(sizeMib * mib);
    await this.registry.pushBlob(repo, shared);
    await this.registry.pushBlob(repo, layer);
    const image = JSON.stringify(imageOf(shared, layer));
    expect((await this.registry.putManifest(repo, tag ?? digestOf(image), image)).status).toBe(201);
    return digestOf(image);
  }

  /** Serves on with these policies, which may do what they say, also to make room. */
  async use(...policies: PolicyDefinition[]): Promise<void> {
    const parsed = parsePolicySet(policies);
    if (!parsed.ok) throw new Error(parsed.problems.join());
    await this.registry.stop();
    this.registry.policies = parsed.set;
    await this.registry.resume(this.#settings);
    await this.registry.pruned();
    this.registry.prune = async (neededBytes) => (await this.registry.makeRoom(neededBytes)) ?? nothingPruned;
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
      this.registry.disk = { usedBytes, freeBytes: 100 * mib - usedBytes, totalBytes: 100 * mib };
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

  async [Symbol.asyncDispose](): Promise<void> {
    await this.registry[Symbol.asyncDispose]();
  }
}
