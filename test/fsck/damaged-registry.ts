import { Database } from 'bun:sqlite';
import { expect } from 'bun:test';
import { join } from 'node:path';
import { fsck, type FsckOptions, type Reported } from '../../src/fsck/fsck.ts';
import { digestOf, freshBytes, imageOf, indexOf, ociIndex } from '../http/content.ts';
import { ServedRegistry } from '../http/served-registry.ts';

export const repo = 'team/app';
export const day = 24 * 3_600_000;
export interface Damaged {
  readonly registry: ServedRegistry;
  /** The layer of the image that `latest` and an index tagged `multi` lead to. */
  readonly layer: string;
  readonly layerOid: string;
  readonly image: string;
  readonly index: string;
  /** An image without a tag. */
  readonly untagged: string;
  /** Where the layer's file is. */
  readonly file: string;
  /** Changes the database against all rules. */
  readonly sql: (statement: string, ...parameters: string[]) => void;
}

/** What is found after some damage, as `severity code about`, sorted. */
export async function found(registry: ServedRegistry, options: Partial<FsckOptions> = {}): Promise<string[]> {
  return (await findings(registry, options))
    .map(({ severity, code, about }) => `${severity} ${code} ${about}`)
    .toSorted();
}

export async function findings(registry: ServedRegistry, options: Partial<FsckOptions> = {}): Promise<Reported[]> {
  const { dataDirectory, clock } = registry;
  return await Array.fromAsync(fsck({ dataDirectory, now: clock.now(), ...options }));
}

/** A registry that holds an image, an index, an untagged image, an open upload and something in the trash, all sound. */
export async function withContent(use: (content: Damaged) => Promise<void>): Promise<void> {
  await using registry = await ServedRegistry.start();
  const config = freshBytes();
  const layerBytes = freshBytes();
  await registry.pushBlob(repo, config);
  const layer = await registry.pushBlob(repo, layerBytes);
  const manifest = JSON.stringify(imageOf(config, layerBytes));
  await registry.putManifest(repo, 'latest', manifest);
  await registry.putManifest(repo, 'multi', JSON.stringify(indexOf(manifest)), ociIndex);
  const other = JSON.stringify(imageOf(config));
  await registry.putManifest(repo, digestOf(other), other);
  await registry.putManifest(repo, 'old', manifest);
  await registry.send(`/v2/${repo}/manifests/old`, { method: 'DELETE' });
  await registry.send(`/v2/${repo}/blobs/uploads/`, { method: 'POST' });
  const [row] = registry.rows<{ oid: string }>('select oid from object where live_digest = ?', layer);
  const layerOid = row?.oid ?? '';
  await use({
    registry,
    layer,
    layerOid,
    image: digestOf(manifest),
    index: digestOf(JSON.stringify(indexOf(manifest))),
    untagged: digestOf(other),
    file: join(registry.dataDirectory, 'objects', layerOid.slice(0, 2), layerOid),
    sql: (statement, ...parameters) => {
      const database = new Database(join(registry.dataDirectory, 'wherry.db'));
      try {
        database.run('pragma ignore_check_constraints = on');
        expect(database.run(statement, parameters).changes).toBeGreaterThan(0);
      } finally {
        database.close();
      }
    },
  });
}
