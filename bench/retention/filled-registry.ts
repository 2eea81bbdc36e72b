import { Database, type SQLQueryBindings } from 'bun:sqlite';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { DirectoryBlobStore } from '../../src/blobs/directory/store.ts';
import { SqliteMetadataStore } from '../../src/metadata/sqlite/store.ts';
import { digestOf } from '../../src/oci/digest.ts';
import { SeededRandom } from '../../src/storm/seeded-random.ts';
import { tagName } from './tag-name.ts';

const day = 86_400_000;
/** How long the images have been pushed, one after the other. */
const age = 180 * day;
const imageType = 'application/vnd.oci.image.manifest.v1+json';

/** Base images that the repositories share, and layers that each has. */
const bases = 40;
const baseLayers = 3;
/** A repository moves to the next base image after so many tags, and to other dependencies, a layer of its own. */
const tagsOnABase = 250;
const tagsOnDependencies = 10;

export interface FilledSize {
  readonly repositories: number;
  /** In each repository. */
  readonly tags: number;
}

/** The name of a repository by its number. */
export function repositoryName(number: number): string {
  return `team-${number % 25}/service-${number}`;
}

/**
 * Makes a data directory whose repositories hold images of a config, a layer of their own, a layer of dependencies that
 * ten of them in a row have, and three layers of a base image, which other repositories use too. Each image is under a
 * tag; half of them were pulled. Rows are written directly, files not at all.
 *
 * @param now the time before which everything was pushed, in ms since 1970
 */
export async function fillRegistry(directory: string, size: FilledSize, now: number): Promise<void> {
  await mkdir(directory, { recursive: true });
  await DirectoryBlobStore.open(directory);
  // The tables and their indexes are as the migrations make them.
  await SqliteMetadataStore.open(directory).close();
  using database = new Database(join(directory, 'wherry.db'), { readwrite: true });
  for (const pragma of ['synchronous = off', 'foreign_keys = off', 'cache_size = -2000000', 'temp_store = file']) {
    database.run(`pragma ${pragma}`);
  }
  // Digests are in no order: an index that is made at the end is made many times faster than one that grows with them.
  const indexes = database
    .query<{ name: string; sql: string }, []>(`select name, sql from sqlite_schema where type = 'index' and sql > ''`)
    .all();
  for (const { name } of indexes) database.run(`drop index ${name}`);
  const filling = new Filling(database, size, now);
  for (let number = 0; number < size.repositories; number += 1) {
    database.transaction(() => filling.addRepository(number))();
  }
  for (const { sql } of indexes) database.run(sql);
  database.run('pragma wal_checkpoint(truncate)');
}

interface Blob {
  readonly digest: string;
  readonly sizeBytes: number;
}

class Filling {
  readonly #database: Database;
  readonly #size: FilledSize;
  readonly #now: number;
  readonly #random = new SeededRandom(1);
  /** Base layers that are there already. */
  readonly #shared = new Map<string, Blob>();

  constructor(database: Database, size: FilledSize, now: number) {
    this.#database = database;
    this.#size = size;
    this.#now = now;
  }

  addRepository(number: number): void {
    const repo = repositoryName(number);
    const linked = new Set<Blob>();
    const blobsOf = (blobs: readonly Blob[]): readonly Blob[] => {
      for (const blob of blobs) {
        if (linked.has(blob)) continue;
        linked.add(blob);
        this.#insert('link', { repo, digest: blob.digest, lease_until: 0, created_at: 0 });
      }
      return blobs;
    };
    this.#insert('repository', { name: repo, created_at: 0 });
    let dependencies: Blob | undefined;
    for (let index = 0; index < this.#size.tags; index += 1) {
      const base = (number + Math.floor(index / tagsOnABase)) % bases;
      if (dependencies === undefined || index % tagsOnDependencies === 0) {
        dependencies = this.#blob(`dependencies ${number}/${index}`, 1_000_000, 80_000_000);
      }
      const blobs = blobsOf([
        this.#blob(`config ${number}/${index}`, 2000, 12_000),
        ...Array.from({ length: baseLayers }, (_, layer) => this.#baseLayer(base, layer)),
        dependencies,
        this.#blob(`layer ${number}/${index}`, 10_000, 20_000_000),
      ]);
      this.#addImage(
        repo,
        tagName(this.#random, number, index),
        blobs,
        this.#now - age * (1 - index / this.#size.tags),
      );
    }
  }

  #addImage(repo: string, name: string, blobs: readonly Blob[], about: number): void {
    const bytes = new TextEncoder().encode(manifestText(blobs));
    const digest = digestOf('sha256', bytes);
    // Sooner or later by half a day: pushes are not quite in the order of the names.
    const pushedAt = Math.floor(Math.min(about + (this.#random.next() - 0.5) * day, this.#now));
    const pulledAt = this.#random.chance(0.5)
      ? Math.floor(pushedAt + this.#random.next() * (this.#now - pushedAt))
      : null;
    this.#insert('manifest', {
      repo,
      digest,
      media_type: imageType,
      kind: 'image',
      state: 'live',
      lease_until: pushedAt,
      pushed_at: pushedAt,
      tagged_at: pushedAt,
      last_pulled_at: pulledAt,
      size_bytes: bytes.length,
      bytes,
    });
    for (const blob of blobs) {
      const { digest: link, sizeBytes } = blob;
      this.#insert('manifest_blob', { repo, manifest: digest, digest: link, size_bytes: sizeBytes, link_digest: link });
    }
    const times = { moved_at: pushedAt, pushed_at: pushedAt, touched_at: pushedAt, last_pulled_at: pulledAt };
    this.#insert('tag', { repo, name, manifest: digest, ...times });
  }

  #baseLayer(base: number, layer: number): Blob {
    const name = `base ${base}/${layer}`;
    const blob = this.#shared.get(name) ?? this.#blob(name, 100_000, 120_000_000);
    this.#shared.set(name, blob);
    return blob;
  }

  #blob(text: string, leastBytes: number, mostBytes: number): Blob {
    const digest = digestOf('sha256', new TextEncoder().encode(text));
    const sizeBytes = this.#random.between(leastBytes, mostBytes);
    // Names of files are random in a registry too.
    const oid = digestOf('sha256', new TextEncoder().encode(`object ${text}`)).slice(-32);
    this.#insert('object', { oid, digest, size_bytes: sizeBytes, state: 'live' });
    return { digest, sizeBytes };
  }

  #insert(table: string, row: Readonly<Record<string, SQLQueryBindings>>): void {
    const columns = Object.keys(row);
    const places = columns.map(() => '?').join(', ');
    this.#database
      .query<unknown, SQLQueryBindings[]>(`insert into ${table} (${columns.join(', ')}) values (${places})`)
      .run(...Object.values(row));
  }
}

function manifestText(blobs: readonly Blob[]): string {
  const [config, ...layers] = blobs.map(({ digest, sizeBytes }, index) => ({
    mediaType: `application/vnd.oci.image.${index === 0 ? 'config.v1+json' : 'layer.v1.tar+gzip'}`,
    digest,
    size: sizeBytes,
  }));
  return JSON.stringify({ schemaVersion: 2, mediaType: imageType, config, layers });
}
