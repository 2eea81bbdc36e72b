import { basename, dirname } from 'node:path';
import { DirectoryBlobStore } from '../../src/blobs/directory/store.ts';
import type { S3Settings } from '../../src/blobs/s3/settings.ts';
import type { BlobStore } from '../../src/blobs/store.ts';
import { variableOf } from '../../src/config/environment.ts';
import type { Places } from '../../src/fsck/places.ts';
import { SqliteMetadataStore, type SqliteParts } from '../../src/metadata/sqlite/store.ts';
import type { MetadataStore } from '../../src/metadata/store.ts';
import { bucketSettingsAt } from './bucket-settings.ts';
import { BucketObjects, DirectoryObjects, type Objects } from './objects.ts';
import { type TestedBucket, testedBucket, testedPostgres } from './pair.ts';
import { PostgresTables, SqliteTables, type Tables } from './tables.ts';

/** The two stores of the registry of one data directory, on the pair under test, as they are seen from beside it. */
export interface StoresBeside {
  readonly tables: Tables;
  readonly objects: Objects;
  /** What a registry has to be told to keep its rows and bytes there, by the names of settings. */
  readonly settings: Readonly<Record<string, string>>;
  /** The same for a process of its own. */
  readonly environment: Readonly<Record<string, string>>;
  /** The same for a check of them. */
  readonly places: Places;
}

const known = new Map<string, StoresBeside>();
let databases = 0;

/** Those of a data directory, which are always the same: made when they are asked for first. */
export function storesBeside(directory: string): StoresBeside {
  const there = known.get(directory);
  if (there !== undefined) return there;
  const [tables, metadata] = tablesFor(directory);
  const [objects, blobs] = objectsFor(directory);
  const settings = { ...metadata, ...blobs };
  const environment = Object.fromEntries(Object.entries(settings).map(([name, value]) => [variableOf(name), value]));
  const places = {
    dataDirectory: directory,
    database: metadata.metadata,
    bucket: testedBucket === undefined ? undefined : bucketSettings(directory, testedBucket),
  };
  const stores = { tables, objects, settings, environment, places };
  known.set(directory, stores);
  return stores;
}

function tablesFor(directory: string): readonly [Tables, { readonly metadata?: string }] {
  if (testedPostgres === undefined) return [new SqliteTables(directory), {}];
  const tables = PostgresTables.create(testedPostgres, `test_${process.pid}_${++databases}`);
  return [tables, { metadata: tables.url }];
}

function objectsFor(directory: string): readonly [Objects, Readonly<Record<string, string>>] {
  if (testedBucket === undefined) return [new DirectoryObjects(directory), {}];
  const { endpoint, bucket } = testedBucket;
  const settings = {
    blobs: `s3://${bucket}/${prefixOf(directory).slice(0, -1)}`,
    's3.endpoint': endpoint,
    's3.redirect': 'off',
    's3.lateWrites': '0',
  };
  return [new BucketObjects(testedBucket, prefixOf(directory)), settings];
}

/** Each test has a directory of its own, or one in such a directory, and never one that another test has had. */
function prefixOf(directory: string): string {
  return `${basename(dirname(directory))}-${basename(directory)}/`;
}

/** Opens the metadata store of a data directory, as a registry would. */
export async function openMetadata(directory: string, parts: SqliteParts = {}): Promise<MetadataStore> {
  const { metadata } = storesBeside(directory).settings;
  if (metadata === undefined) return SqliteMetadataStore.open(directory, parts);
  const { PostgresMetadataStore } = await import('../../src/metadata/postgres/store.ts');
  return await PostgresMetadataStore.open(metadata);
}

/** Opens the blob store of a data directory, as a registry would. */
export async function openBlobs(directory: string): Promise<BlobStore> {
  if (testedBucket === undefined) return await DirectoryBlobStore.open(directory);
  const { S3BlobStore } = await import('../../src/blobs/s3/store.ts');
  return await S3BlobStore.open(bucketSettings(directory, testedBucket));
}

/** How a registry of a data directory keeps its blobs in a bucket, apart from all others. */
export function bucketSettings(directory: string, { endpoint, bucket }: TestedBucket): S3Settings {
  return bucketSettingsAt({ bucket, prefix: prefixOf(directory), endpoint });
}

/** Forgets the rows of a data directory that is removed. */
export function forgetStoresBeside(directory: string): void {
  known.get(directory)?.tables.drop();
  known.delete(directory);
}
