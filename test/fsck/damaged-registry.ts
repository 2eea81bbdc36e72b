import { Database } from 'bun:sqlite';
import { expect } from 'bun:test';
import { join } from 'node:path';
import { Client } from 'pg';
import { fsck, type FsckOptions, type Reported } from '../../src/fsck/fsck.ts';
import { SharedRepairs } from '../../src/server/shared-repairs.ts';
import { digestOf, freshBytes, imageOf, indexOf, ociIndex } from '../http/content.ts';
import { ServedRegistry } from '../http/served-registry.ts';
import { placesBeside } from '../pairs/checked-places.ts';
import { testedBucket, testedPostgres } from '../pairs/pair.ts';
import type { Bound } from '../pairs/tables.ts';
import { configFrom } from '../server/config-from.ts';
import { logOfErrors } from '../server/quiet-server.ts';

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
  /** Changes the database against all rules. */
  readonly sql: (statement: string | Forms, ...parameters: Bound[]) => void;
}

/** A statement that each database has in words of its own. */
export interface Forms {
  readonly sqlite: string;
  readonly postgres: string;
}

/** What is found after some damage, as `severity code about`, sorted. */
export async function found(registry: ServedRegistry, options: Partial<FsckOptions> = {}): Promise<string[]> {
  return (await findings(registry, options))
    .map(({ severity, code, about }) => `${severity} ${code} ${about}`)
    .toSorted();
}

/** The same in full. Where repairs are asked for, they are made as the command makes them on the pair under test. */
export async function findings(registry: ServedRegistry, options: Partial<FsckOptions> = {}): Promise<Reported[]> {
  const { dataDirectory, clock } = registry;
  await using shared = options.repair === true ? await sharedRepairs(registry, options) : undefined;
  const repair = shared === undefined ? {} : { repair: shared.make.bind(shared) };
  return await Array.fromAsync(fsck({ ...placesBeside(dataDirectory), now: clock.now(), ...options, ...repair }));
}

async function sharedRepairs(
  { dataDirectory, stores, clock }: ServedRegistry,
  { keepAdoptedMs }: Partial<FsckOptions>,
): Promise<SharedRepairs | undefined> {
  if (testedPostgres === undefined) return undefined;
  const config = await configFrom({
    data: dataDirectory,
    ...stores.settings,
    ...(keepAdoptedMs !== undefined && { 'windows.adopted': `${keepAdoptedMs}ms` }),
  });
  return new SharedRepairs(config, await logOfErrors(), clock);
}

export const isInBucket = testedBucket !== undefined;
export const isOnPostgres = testedPostgres !== undefined;

/**
 * Lets who writes as a replica break foreign keys and conditions, while what is counted goes on to be counted. SQLite has that
 * decided by each statement.
 */
export async function liftRules(registry: ServedRegistry): Promise<void> {
  if (!isOnPostgres) return;
  const client = new Client({ connectionString: registry.stores.settings['metadata'] });
  await client.connect();
  try {
    await client.query(ruleless);
  } finally {
    await client.end();
  }
}

/** Changes a registry's rows against all rules, once those are lifted. */
export function damage(registry: ServedRegistry, statement: string | Forms, ...parameters: Bound[]): void {
  const text = typeof statement === 'string' ? statement : statement[isOnPostgres ? 'postgres' : 'sqlite'];
  if (isOnPostgres) {
    registry.tables.change(
      `set session_replication_role = replica;
       do $$ begin ${text}; if not found then raise exception 'nothing was changed'; end if; end $$`,
      ...parameters,
    );
    return;
  }
  const database = new Database(join(registry.dataDirectory, 'wherry.db'));
  try {
    database.run('pragma busy_timeout = 5000');
    database.run('pragma ignore_check_constraints = on');
    expect(database.run(text, parameters).changes).toBeGreaterThan(0);
  } finally {
    database.close();
  }
}

/**
 * First the lock that every transaction of the registry begins with: so it waits for those under way, and they for it, and
 * nobody for each other.
 */
const ruleless = `do $$ declare rule record; begin
  lock table read_only in access exclusive mode;
  for rule in select tgname, tgrelid::regclass as of from pg_trigger where not tgisinternal and tgenabled <> 'A' loop
    execute format('alter table %s enable always trigger %I', rule.of, rule.tgname);
  end loop;
  for rule in select conname, conrelid::regclass as of from pg_constraint where contype = 'c' and conrelid <> 0 loop
    execute format('alter table %s drop constraint %I', rule.of, rule.conname);
  end loop;
end $$`;

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
  await liftRules(registry);
  await use({
    registry,
    layer,
    layerOid: row?.oid ?? '',
    image: digestOf(manifest),
    index: digestOf(JSON.stringify(indexOf(manifest))),
    untagged: digestOf(other),
    sql: (statement, ...parameters) => damage(registry, statement, ...parameters),
  });
}
