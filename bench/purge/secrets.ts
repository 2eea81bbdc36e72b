import { Database, type SQLQueryBindings } from 'bun:sqlite';
import { randomBytes } from 'node:crypto';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { imageOf } from '../collect/filled-directory.ts';

const mebibyte = 1024 * 1024;
const pieceBytes = 8 * mebibyte;

/** A blob that many images of a filled directory have as a further layer. */
export interface Secret {
  readonly digest: string;
  readonly oid: string;
}

/**
 * Adds a blob to a directory that nobody serves: its file, synced, its rows, and those of the images that use it, half of
 * which lie in one repository, the others in as many as there are.
 *
 * @param number which one of `secrets`; each has images of its own
 */
export async function addSecret(
  directory: string,
  number: number,
  {
    sizeBytes,
    users,
    images,
    secrets: count,
  }: { readonly sizeBytes: number; readonly users: number; readonly images: number; readonly secrets: number },
): Promise<Secret> {
  const oid = `5e${randomBytes(15).toString('hex')}`;
  const digest = `sha256:d${number.toString(16).padStart(15, '0')}${'0123456789abcdef'.repeat(3)}`;
  await writeContent(join(directory, 'objects', oid.slice(0, 2), oid), sizeBytes);
  using database = new Database(join(directory, 'wherry.db'), { readwrite: true });
  database.run('pragma foreign_keys = off');
  const run = (sql: string, ...values: SQLQueryBindings[]): void => {
    database.query<unknown, SQLQueryBindings[]>(sql).run(...values);
  };
  // So that the images of two blobs are never the same.
  const imagesBetween = Math.floor(images / users / count);
  if (imagesBetween < 2) throw new Error(`${images} images are too few for ${count} blobs with ${users} users each`);
  database.transaction(() => {
    run(`insert into object (oid, digest, size_bytes, state) values (?, ?, ?, 'live')`, oid, digest, sizeBytes);
    const repositories = new Set<string>();
    for (let user = 0; user < users; user += 1) {
      const at = Math.floor((user * images) / users) + number * imagesBetween + (user % 2);
      const { repository, manifest } = imageOf(at);
      repositories.add(repository);
      run(
        'insert into manifest_blob (repo, manifest, digest, size_bytes, link_digest) values (?, ?, ?, ?, ?)',
        repository,
        manifest,
        digest,
        sizeBytes,
        digest,
      );
    }
    for (const repository of repositories) {
      run('insert into link (repo, digest, lease_until, created_at) values (?, ?, 0, 0)', repository, digest);
    }
  })();
  return { digest, oid };
}

async function writeContent(path: string, sizeBytes: number): Promise<void> {
  const piece = randomBytes(pieceBytes);
  await using file = await open(path, 'w');
  for (let written = 0; written < sizeBytes; written += pieceBytes) await file.write(piece);
  await file.sync();
}
