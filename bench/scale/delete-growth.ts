// What deleting an image costs in registries on PostgreSQL that hold so many, with all that it leads to.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from 'pg';
import { DirectoryBlobStore } from '../../src/blobs/directory/store.ts';
import { migrate } from '../../src/metadata/postgres/migrate.ts';
import type { PostgresServer } from '../../test/scale/postgres-server.ts';
import { type DeleteCost, deleteImage } from '../collect/delete-cost.ts';
import { imageOf, writeFiles } from '../collect/filled-directory.ts';
import { serveCounted } from '../collect/in-process.ts';
import { median } from '../figures.ts';

/** The medians of deletes in a registry of one size. */
export interface DeleteGrowth extends DeleteCost {
  readonly images: number;
}

interface Filled {
  readonly size: number;
  readonly directory: string;
  readonly database: string;
  readonly costs: DeleteCost[];
}

/** The first deletes of a process find nothing prepared, in the program and in the database's cache. */
const warmingUp = 5;

/**
 * Makes registries of several sizes, and deletes in turn from each, in rounds.
 * @param sizes how many images each holds
 */
export async function measureDeletes(
  { postgres, parent }: { readonly postgres: PostgresServer; readonly parent: string },
  sizes: readonly number[],
  { rounds, deletes }: { readonly rounds: number; readonly deletes: number },
): Promise<readonly DeleteGrowth[]> {
  const filled: Filled[] = [];
  for (const size of sizes) {
    const [directory, database] = [join(parent, `deletes-${size}`), await postgres.newDatabase()];
    mkdirSync(directory);
    await DirectoryBlobStore.open(directory);
    await fillDatabase(database, size);
    filled.push({ size, directory, database, costs: [] });
  }
  for (let round = 0; round < rounds; round++) {
    for (const { size, directory, database, costs } of filled) {
      const each = warmingUp + deletes;
      // All over the registry, each once.
      const images = Array.from({ length: each }, (_, at) =>
        imageOf(Math.floor(((at * rounds + round) * size) / (each * rounds))),
      );
      // Before it starts, since a registry none of whose blobs are there does not.
      await writeFiles(directory, images);
      await using registry = await serveCounted(directory, { metadata: database });
      for (const [at, image] of images.entries()) {
        const cost = await deleteImage(registry, image);
        if (at >= warmingUp) costs.push(cost);
      }
    }
  }
  return filled.map(({ size, costs }) => ({
    images: size,
    ms: median(costs.map(({ ms }) => ms)) ?? NaN,
    statements: median(costs.map(({ statements }) => statements)) ?? NaN,
    rows: median(costs.map(({ rows }) => rows)) ?? NaN,
  }));
}

/** The same images as `fillDirectory` makes (bench/collect/filled-directory.ts), their rows made by the database itself. */
async function fillDatabase(url: string, count: number): Promise<void> {
  const client = new Client({ connectionString: url });
  await client.connect();
  await migrate(client);
  // What is written agrees by itself, so that neither keys nor counters need be looked at for each row.
  await client.query('set session_replication_role = replica');
  await client.query('set synchronous_commit = off');
  for (const statement of filling(count)) await client.query(statement);
  await client.query('analyze');
  await client.end();
}

/** Words of SQL for what `imageOf` gives of the image `n`. */
const words = {
  repo: `case when n % 2 = 0 then 'bench/together' else 'bench/' || n / 1000 end`,
  own: (part: string) => `'sha256:b' || lpad(to_hex(2 * n + ${part}), 15, '0') || repeat('0123456789abcdef', 3)`,
  oid: (part: string) => `lpad(to_hex(n % 256), 2, '0') || lpad(to_hex(2 * n + ${part}), 30, '0')`,
  manifest: `'sha256:a' || lpad(to_hex(n), 15, '0') || repeat('0123456789abcdef', 3)`,
};
const base = { digest: `sha256:c${'0'.repeat(15)}${'0123456789abcdef'.repeat(3)}`, oid: 'f'.repeat(32) };
const pushedAt = Date.UTC(2026, 0, 1);
const layerBytes = 1000;

function filling(count: number): readonly string[] {
  const numbers = `generate_series(0::bigint, ${count - 1}) as n`;
  const parts = `${numbers} cross join generate_series(0, 1) as part`;
  const text = `json_build_object('schemaVersion', 2, 'mediaType', 'application/vnd.oci.image.manifest.v1+json',
    'config', json_build_object('mediaType', 'application/vnd.oci.image.config.v1+json', 'digest', ${words.own('0')}, 'size', ${layerBytes}),
    'layers', json_build_array(
      json_build_object('mediaType', 'application/vnd.oci.image.layer.v1.tar+gzip', 'digest', ${words.own('1')}, 'size', ${layerBytes}),
      json_build_object('mediaType', 'application/vnd.oci.image.layer.v1.tar+gzip', 'digest', '${base.digest}', 'size', ${layerBytes})))`;
  return [
    `insert into repository (name, created_at) select distinct ${words.repo}, ${pushedAt} from ${numbers}`,
    `insert into object (oid, digest, size_bytes, state)
     select ${words.oid('part')}, ${words.own('part')}, ${layerBytes}, 'live' from ${parts}
     union all select '${base.oid}', '${base.digest}', ${layerBytes}, 'live'`,
    `insert into stored (state, shard, objects, bytes) values ('live', 0, ${2 * count + 1}, ${(2 * count + 1) * layerBytes})
     on conflict (state, shard) do update set objects = excluded.objects, bytes = excluded.bytes`,
    `insert into link (repo, digest, lease_until, created_at)
     select ${words.repo}, ${words.own('part')}, 0, ${pushedAt} from ${parts}
     union all select name, '${base.digest}', 0, ${pushedAt} from repository`,
    `insert into manifest (repo, digest, media_type, kind, state, lease_until, pushed_at, tagged_at, size_bytes, bytes)
     select repo, digest, 'application/vnd.oci.image.manifest.v1+json', 'image', 'live', 0, ${pushedAt}, ${pushedAt}, length(bytes), bytes
     from (select ${words.repo} as repo, ${words.manifest} as digest, convert_to((${text})::text, 'UTF8') as bytes from ${numbers}) as made`,
    `insert into manifest_blob (repo, manifest, digest, size_bytes, link_digest)
     select ${words.repo}, ${words.manifest}, blob, ${layerBytes}, blob
     from ${numbers}, lateral (values (${words.own('0')}), (${words.own('1')}), ('${base.digest}')) as blobs (blob)`,
    `insert into tag (repo, name, manifest, moved_at, pushed_at, touched_at)
     select ${words.repo}, 'v' || n, ${words.manifest}, ${pushedAt}, ${pushedAt}, ${pushedAt} from ${numbers}`,
  ];
}
