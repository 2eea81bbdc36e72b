import { Database, type SQLQueryBindings } from 'bun:sqlite';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DirectoryBlobStore } from '../../src/blobs/directory/store.ts';
import { SqliteMetadataStore } from '../../src/metadata/sqlite/store.ts';

const imagesInARepository = 1000;
const imagesInATransaction = 20_000;
const layerBytes = 1000;
const pushedAt = Date.UTC(2026, 0, 1);

/** Where an image is that the rows were made of. */
export interface FilledImage {
  readonly number: number;
  readonly repository: string;
  readonly tag: string;
  readonly manifest: string;
  /** A config and a layer that nobody else has, by digest and by the name of their files. */
  readonly own: readonly { readonly digest: string; readonly oid: string }[];
}

/**
 * Half of the images lie in one repository, however large it gets; the others in repositories of a thousand. All that is
 * known of an image comes from its number. Digests grow with it, so that rows are appended, which is fast; the trees
 * that they end up in are as deep as any.
 */
export function imageOf(number: number): FilledImage {
  const isTogether = number % 2 === 0;
  return {
    number,
    repository: isTogether ? 'bench/together' : `bench/${Math.floor(number / imagesInARepository)}`,
    tag: `v${number}`,
    manifest: digest('a', number),
    own: [0, 1].map((part) => ({
      digest: digest('b', number * 2 + part),
      oid: `${(number % 256).toString(16).padStart(2, '0')}${(number * 2 + part).toString(16).padStart(30, '0')}`,
    })),
  };
}

/** A layer that every image has, linked in every repository. */
const base = { digest: digest('c', 0), oid: 'f'.repeat(32) };

/**
 * Makes a data directory that holds `count` images of a config, a layer and a base layer that all share, each under a
 * tag, and an idle review queue. Rows are written directly, files not at all: see {@link writeFiles}.
 */
export async function fillDirectory(directory: string, count: number): Promise<void> {
  await mkdir(directory, { recursive: true });
  await DirectoryBlobStore.open(directory);
  // The tables and their indexes are as the migrations make them.
  await SqliteMetadataStore.open(directory).close();
  using database = new Database(join(directory, 'wherry.db'), { readwrite: true });
  for (const pragma of ['synchronous = off', 'foreign_keys = off', 'cache_size = -500000']) {
    database.run(`pragma ${pragma}`);
  }
  const insert = inserter(database);
  const repositories = new Set<string>();
  insert('object', { oid: base.oid, digest: base.digest, size_bytes: layerBytes, state: 'live' });
  for (let from = 0; from < count; from += imagesInATransaction) {
    database.transaction(() => {
      for (let number = from; number < Math.min(count, from + imagesInATransaction); number += 1) {
        insertImage(insert, repositories, imageOf(number));
      }
    })();
  }
  database.run('pragma wal_checkpoint(truncate)');
}

type Insert = (table: string, row: Readonly<Record<string, SQLQueryBindings>>) => void;

function inserter(database: Database): Insert {
  return (table, row) => {
    const columns = Object.keys(row);
    const places = columns.map(() => '?').join(', ');
    database
      .query<unknown, SQLQueryBindings[]>(`insert into ${table} (${columns.join(', ')}) values (${places})`)
      .run(...Object.values(row));
  };
}

function insertImage(insert: Insert, repositories: Set<string>, image: FilledImage): void {
  const { repository: repo, manifest, tag, own } = image;
  const link = (blob: string): void => insert('link', { repo, digest: blob, lease_until: 0, created_at: pushedAt });
  if (!repositories.has(repo)) {
    repositories.add(repo);
    insert('repository', { name: repo, created_at: pushedAt });
    link(base.digest);
  }
  for (const blob of own) {
    insert('object', { oid: blob.oid, digest: blob.digest, size_bytes: layerBytes, state: 'live' });
    link(blob.digest);
  }
  const blobs = [...own, base].map((blob) => blob.digest);
  const bytes = new TextEncoder().encode(manifestText(blobs));
  insert('manifest', {
    repo,
    digest: manifest,
    media_type: 'application/vnd.oci.image.manifest.v1+json',
    kind: 'image',
    state: 'live',
    lease_until: 0,
    pushed_at: pushedAt,
    tagged_at: pushedAt,
    size_bytes: bytes.length,
    bytes,
  });
  for (const blob of blobs) {
    insert('manifest_blob', { repo, manifest, digest: blob, size_bytes: layerBytes, link_digest: blob });
  }
  insert('tag', { repo, name: tag, manifest, moved_at: pushedAt, pushed_at: pushedAt, touched_at: pushedAt });
}

function manifestText([config = '', ...layers]: readonly string[]): string {
  const descriptor = (mediaType: string, blob: string) => ({ mediaType, digest: blob, size: layerBytes });
  return JSON.stringify({
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config: descriptor('application/vnd.oci.image.config.v1+json', config),
    layers: layers.map((layer) => descriptor('application/vnd.oci.image.layer.v1.tar+gzip', layer)),
  });
}

/** Writes the files of what images have of their own, for those that will be deleted. */
export async function writeFiles(directory: string, images: readonly FilledImage[]): Promise<void> {
  const bytes = new Uint8Array(layerBytes);
  for (const { own } of images) {
    await Promise.all(
      own.map(async ({ oid }) => await writeFile(join(directory, 'objects', oid.slice(0, 2), oid), bytes)),
    );
  }
}

/** Takes the tags of images away, as deletes whose trash window is over would have left them: all are due for review. */
export function releaseImages(directory: string, images: readonly FilledImage[]): void {
  using database = new Database(join(directory, 'wherry.db'), { readwrite: true });
  const releasedAt = Date.now();
  database.transaction(() => {
    for (const { repository, tag, manifest } of images) {
      database.query('delete from tag where repo = ? and name = ?').run(repository, tag);
      database.query('update manifest set released_at = 1 where repo = ? and digest = ?').run(repository, manifest);
      database
        .query(`insert into task (kind, key1, key2, due_at) values ('manifest', ?, ?, ?)`)
        .run(repository, manifest, releasedAt);
    }
  })();
}

/** How many of the released images have not been collected yet. */
export function countReleased(directory: string): number {
  using database = new Database(join(directory, 'wherry.db'), { readonly: true });
  const query = database.query<{ images: number }, [string, string]>(
    `select count(*) as images from task where kind = 'manifest' and key2 between ? and ?`,
  );
  return query.get(digest('a', 0), digest('a', 2 ** 40))?.images ?? 0;
}

function digest(kind: 'a' | 'b' | 'c', number: number): string {
  return `sha256:${kind}${number.toString(16).padStart(15, '0')}${'0123456789abcdef'.repeat(3)}`;
}
