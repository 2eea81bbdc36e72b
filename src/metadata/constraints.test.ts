import { Database } from 'bun:sqlite';
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { forgetStoresBeside, storesBeside } from '../../test/pairs/stores-beside.ts';
import { migrate } from './sqlite/migrate.ts';

/**
 * A small registry, digests shortened to words: in `app` the tag `latest` points at the image `image`, which the index
 * `index` lists and which needs the blob `layer`; `gone` is an image in the trash, still known as `old`. The object
 * `file1` holds the layer, `file2` is being uploaded, `file3` is dead. The repository `other` is empty.
 */
const rows = [
  `insert into repository (name, created_at) values ('app', 0), ('other', 0)`,
  `insert into object (oid, digest, size_bytes, state)
   values ('file1', 'layer', 5, 'live'), ('file2', null, 0, 'pending'), ('file3', 'layer', 5, 'dead')`,
  `insert into link (repo, digest, lease_until, created_at) values ('app', 'layer', 0, 0)`,
  `insert into upload (id, repo, oid, state, algorithm, opened_at, touched_at)
   values ('session', 'app', 'file2', 'open', 'sha256', 0, 0)`,
  manifestRow('app', 'image', 'image'),
  manifestRow('app', 'index', 'index'),
  manifestRow('app', 'gone', 'image', `'trashed', 1`),
  `insert into manifest_blob values ('app', 'image', 'layer', 5, 'layer')`,
  `insert into manifest_child values ('app', 'index', 'image', 'image')`,
  tagRow('app', 'latest', 'image'),
  `insert into tag_trash values ('app', 'old', 'gone', 0, 1)`,
];

function manifestRow(repo: string, digest: string, kind: string, state = `'live', null`, bytes = `1, x'00'`): string {
  return `insert into manifest (repo, digest, media_type, kind, lease_until, pushed_at, state, trash_until, size_bytes, bytes)
          values ('${repo}', '${digest}', 'a/type', '${kind}', 0, 0, ${state}, ${bytes})`;
}

function tagRow(repo: string, name: string, manifest: string): string {
  return `insert into tag (repo, name, manifest, moved_at, pushed_at, touched_at) values ('${repo}', '${name}', '${manifest}', 0, 0, 0)`;
}

function linkRow(repo: string, digest: string): string {
  return `insert into link (repo, digest, lease_until, created_at) values ('${repo}', '${digest}', 0, 0)`;
}

function uploadRow(id: string, oid: string, state: string, resultDigest: string): string {
  return `insert into upload (id, repo, oid, state, algorithm, opened_at, touched_at, result_digest)
          values ('${id}', 'app', ${oid}, ${state}, 'sha256', 0, 0, ${resultDigest})`;
}

/** A path to `file1`'s death: everything that holds it goes, from the top. */
const releaseImage = [
  `delete from tag where name = 'latest'`,
  `delete from manifest_child where child = 'image'`,
  `delete from manifest_blob where manifest = 'image'`,
  `delete from manifest where digest = 'image'`,
];
const releaseLink = [...releaseImage, `delete from link where digest = 'layer'`];

let directory: string;
let client: Client | undefined;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'wherry-rules-'));
  const { database } = storesBeside(directory).places;
  if (database === undefined) return;
  client = new Client({ connectionString: database });
  await client.connect();
});

afterAll(async () => {
  await client?.end();
  forgetStoresBeside(directory);
  rmSync(directory, { recursive: true });
});

/** Runs statements in one transaction on the small registry. @returns the database's own words where it refuses them */
async function refusalOf(statements: readonly string[]): Promise<string | undefined> {
  try {
    if (client === undefined) commitToSqlite(statements);
    else await tryOnPostgres(client, statements);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function commitToSqlite(statements: readonly string[]): void {
  using database = new Database(':memory:', { strict: true });
  database.run('pragma foreign_keys = on');
  migrate(database);
  for (const row of rows) database.run(row);
  database.transaction(() => {
    for (const statement of statements) database.run(statement);
  })();
}

async function tryOnPostgres(database: Client, statements: readonly string[]): Promise<void> {
  await database.query('begin');
  try {
    for (const statement of [...rows, ...statements]) await database.query(inPostgres(statement));
    // What it would look at when this is committed.
    await database.query('set constraints all immediate');
  } finally {
    await database.query('rollback');
  }
}

/** Bytes are written in another way there. */
function inPostgres(statement: string): string {
  return statement.replaceAll(/x'([0-9a-f]*)'/g, String.raw`'\x$1'`);
}

/** What PostgreSQL says instead, which names its constraints by itself. */
const inItsWords: readonly (readonly [sqlite: string, postgres: string])[] = [
  ['FOREIGN KEY constraint failed', 'violates foreign key constraint'],
  ['CHECK constraint failed', 'violates check constraint'],
  ['UNIQUE constraint failed', 'violates unique constraint'],
  ['NOT NULL constraint failed', 'violates not-null constraint'],
  ['cannot store TEXT value in INTEGER column', 'invalid input syntax for type bigint'],
  ['cannot store REAL value in INTEGER column', 'invalid input syntax for type bigint'],
  ['cannot UPDATE generated column', 'can only be updated to DEFAULT'],
];

function wordsFor(because: string): string {
  if (client === undefined) return because;
  return inItsWords.find(([sqlite]) => because.startsWith(sqlite))?.[1] ?? because;
}

interface Rule {
  readonly rule: string;
  readonly refused: readonly string[];
  readonly because: string;
  /** The nearest thing that is allowed, so that the refusal is for that reason and no other. */
  readonly allowed: readonly string[];
}

const foreignKey = 'FOREIGN KEY constraint failed';

const references: readonly Rule[] = [
  {
    rule: 'a tag points at a manifest that is there (I6)',
    refused: [tagRow('app', 'v1', 'missing')],
    because: foreignKey,
    allowed: [tagRow('app', 'v1', 'image')],
  },
  {
    rule: 'a tag does not point into the trash (I6)',
    refused: [tagRow('app', 'v1', 'gone')],
    because: foreignKey,
    allowed: [
      `update manifest set state = 'live', trash_until = null where digest = 'gone'`,
      tagRow('app', 'v1', 'gone'),
    ],
  },
  {
    rule: 'a tag points at a manifest of its own repository (I6)',
    refused: [tagRow('other', 'v1', 'image')],
    because: foreignKey,
    allowed: [manifestRow('other', 'image', 'image'), tagRow('other', 'v1', 'image')],
  },
  {
    rule: 'a tag moves only to a manifest that is there (I6)',
    refused: [`update tag set manifest = 'missing' where name = 'latest'`],
    because: foreignKey,
    allowed: [`update tag set manifest = 'index' where name = 'latest'`],
  },
  {
    rule: 'a manifest goes into the trash only after its tags (I6)',
    refused: [`update manifest set state = 'trashed', trash_until = 1 where digest = 'image'`],
    because: foreignKey,
    allowed: [
      `delete from tag where name = 'latest'`,
      `update manifest set state = 'trashed', trash_until = 1 where digest = 'image'`,
    ],
  },
  {
    rule: 'a manifest that a tag points at is not deleted (I6)',
    refused: releaseImage.slice(1),
    because: foreignKey,
    allowed: releaseImage,
  },
  {
    rule: 'what the trash remembers of a tag is a manifest that is there',
    refused: [`insert into tag_trash values ('app', 'older', 'missing', 0, 1)`],
    because: foreignKey,
    allowed: [`insert into tag_trash values ('app', 'older', 'gone', 0, 1)`],
  },
  {
    rule: 'a manifest that the trash remembers by a tag is not deleted',
    refused: [`delete from manifest where digest = 'gone'`],
    because: foreignKey,
    allowed: [`delete from tag_trash where manifest = 'gone'`, `delete from manifest where digest = 'gone'`],
  },
  {
    rule: 'an edge that holds a blob needs its link (I4)',
    refused: [`insert into manifest_blob values ('app', 'image', 'config', 5, 'config')`],
    because: foreignKey,
    allowed: [`insert into manifest_blob values ('app', 'image', 'config', 5, null)`],
  },
  {
    rule: 'an edge holds the link of its own repository (I4)',
    refused: [
      manifestRow('other', 'copy', 'image'),
      `insert into manifest_blob values ('other', 'copy', 'layer', 5, 'layer')`,
    ],
    because: foreignKey,
    allowed: [
      linkRow('other', 'layer'),
      manifestRow('other', 'copy', 'image'),
      `insert into manifest_blob values ('other', 'copy', 'layer', 5, 'layer')`,
    ],
  },
  {
    rule: 'an edge that held nothing can hold a blob only once it is linked (I4)',
    refused: [
      `insert into manifest_blob values ('app', 'image', 'config', 5, null)`,
      `update manifest_blob set link_digest = digest where digest = 'config'`,
    ],
    because: foreignKey,
    allowed: [
      `insert into manifest_blob values ('app', 'image', 'config', 5, null)`,
      `update object set state = 'live', digest = 'config' where oid = 'file2'`,
      linkRow('app', 'config'),
      `update manifest_blob set link_digest = digest where digest = 'config'`,
    ],
  },
  {
    rule: 'an edge belongs to a manifest that is there',
    refused: [`insert into manifest_blob values ('app', 'missing', 'layer', 5, 'layer')`],
    because: foreignKey,
    allowed: [`insert into manifest_blob values ('app', 'index', 'layer', 5, 'layer')`],
  },
  {
    rule: 'a manifest with edges to blobs is not deleted',
    refused: releaseImage.filter((statement) => !statement.includes('manifest_blob')),
    because: foreignKey,
    allowed: releaseImage,
  },
  {
    rule: 'a link that an edge holds is not deleted (I4)',
    refused: [`delete from link where digest = 'layer'`],
    because: foreignKey,
    allowed: releaseLink,
  },
  {
    rule: 'an index lists a manifest that is there, or marks it as absent (I5)',
    refused: [`insert into manifest_child values ('app', 'index', 'missing', 'missing')`],
    because: foreignKey,
    allowed: [`insert into manifest_child values ('app', 'index', 'missing', null)`],
  },
  {
    rule: 'an index lists a manifest of its own repository (I5)',
    refused: [
      manifestRow('other', 'index', 'index'),
      `insert into manifest_child values ('other', 'index', 'image', 'image')`,
    ],
    because: foreignKey,
    allowed: [
      manifestRow('other', 'index', 'index'),
      manifestRow('other', 'image', 'image'),
      `insert into manifest_child values ('other', 'index', 'image', 'image')`,
    ],
  },
  {
    rule: 'an index that lists manifests is there',
    refused: [`insert into manifest_child values ('app', 'missing', 'image', 'image')`],
    because: foreignKey,
    allowed: [`insert into manifest_child values ('app', 'gone', 'image', 'image')`],
  },
  {
    rule: 'a manifest that an index lists is not deleted (I5)',
    refused: releaseImage.filter((statement) => !statement.includes('manifest_child')),
    because: foreignKey,
    allowed: releaseImage,
  },
  {
    rule: 'an index is not deleted before its list',
    refused: [`delete from manifest where digest = 'index'`],
    because: foreignKey,
    allowed: [`delete from manifest_child where parent = 'index'`, `delete from manifest where digest = 'index'`],
  },
  {
    rule: 'a link needs a live object when the transaction ends (I3)',
    refused: [linkRow('app', 'config')],
    because: foreignKey,
    allowed: [linkRow('app', 'config'), `update object set state = 'live', digest = 'config' where oid = 'file2'`],
  },
  {
    rule: 'an object that is being uploaded is not enough for a link (I3)',
    refused: [`update object set digest = 'config' where oid = 'file2'`, linkRow('app', 'config')],
    because: foreignKey,
    allowed: [`update object set digest = 'config', state = 'live' where oid = 'file2'`, linkRow('app', 'config')],
  },
  {
    rule: 'an object is not condemned while it is linked (I8)',
    refused: [`update object set state = 'condemned' where oid = 'file1'`],
    because: foreignKey,
    allowed: [...releaseLink, `update object set state = 'condemned' where oid = 'file1'`],
  },
  {
    rule: 'an object does not die while it is linked, except where another takes over (I8)',
    refused: [`update object set state = 'dead' where oid = 'file1'`],
    because: foreignKey,
    allowed: [
      `update object set state = 'dead' where oid = 'file1'`,
      `update object set state = 'live', digest = 'layer' where oid = 'file2'`,
    ],
  },
  {
    rule: 'an object is not forgotten while it is linked (I3)',
    refused: [`delete from object where oid = 'file1'`],
    because: foreignKey,
    allowed: [...releaseLink, `delete from object where oid = 'file1'`],
  },
  {
    rule: 'a link belongs to a repository that is known',
    refused: [linkRow('unknown', 'layer')],
    because: foreignKey,
    allowed: [linkRow('other', 'layer')],
  },
  {
    rule: 'a manifest belongs to a repository that is known',
    refused: [manifestRow('unknown', 'image', 'image')],
    because: foreignKey,
    allowed: [manifestRow('other', 'image', 'image')],
  },
  {
    rule: 'a repository that holds something is not deleted',
    refused: [`delete from repository where name = 'app'`],
    because: foreignKey,
    allowed: [`delete from repository where name = 'other'`],
  },
  {
    rule: 'an upload session has an object that is there (I9)',
    refused: [uploadRow('second', `'missing'`, `'open'`, 'null')],
    because: foreignKey,
    allowed: [
      `insert into object (oid, state) values ('file4', 'pending')`,
      uploadRow('second', `'file4'`, `'open'`, 'null'),
    ],
  },
  {
    rule: 'an object that is being uploaded is not forgotten (I9)',
    refused: [`delete from object where oid = 'file2'`],
    because: foreignKey,
    allowed: [`delete from upload where id = 'session'`, `delete from object where oid = 'file2'`],
  },
];

const onlyOnce: readonly Rule[] = [
  {
    rule: 'a digest has one live object at most (I2)',
    refused: [`update object set state = 'live', digest = 'layer' where oid = 'file2'`],
    because: 'UNIQUE constraint failed: object.live_digest',
    allowed: [`update object set state = 'live', digest = 'config' where oid = 'file2'`],
  },
  {
    rule: 'an object id is used once (I2)',
    refused: [`insert into object (oid, state) values ('file3', 'pending')`],
    because: 'UNIQUE constraint failed: object.oid',
    allowed: [`insert into object (oid, state) values ('file4', 'pending')`],
  },
  {
    rule: 'an object is written by one upload session',
    refused: [uploadRow('second', `'file2'`, `'open'`, 'null')],
    because: 'UNIQUE constraint failed: upload.oid',
    allowed: [uploadRow('second', 'null', `'done'`, `'layer'`), uploadRow('third', 'null', `'done'`, `'layer'`)],
  },
  {
    rule: 'a repository has a tag once',
    refused: [tagRow('app', 'latest', 'index')],
    because: 'UNIQUE constraint failed: tag.repo, tag.name',
    allowed: [tagRow('app', 'Latest', 'index')],
  },
  {
    rule: 'a repository has a manifest once, live or in the trash',
    refused: [manifestRow('app', 'gone', 'image')],
    because: 'UNIQUE constraint failed: manifest.repo, manifest.digest',
    allowed: [manifestRow('other', 'gone', 'image')],
  },
];

const checks: readonly Rule[] = [
  {
    rule: 'the states of an object are four',
    refused: [`insert into object (oid, state) values ('file4', 'zombie')`],
    because: 'CHECK constraint failed: state in',
    allowed: [`insert into object (oid, state) values ('file4', 'dead')`],
  },
  {
    rule: 'a live object has a digest',
    refused: [`update object set state = 'live' where oid = 'file2'`],
    because: 'CHECK constraint failed: state not in',
    allowed: [`update object set state = 'live', digest = 'config' where oid = 'file2'`],
  },
  {
    rule: 'a condemned object has a digest',
    refused: [`insert into object (oid, state) values ('file4', 'condemned')`],
    because: 'CHECK constraint failed: state not in',
    allowed: [`insert into object (oid, state, digest) values ('file4', 'condemned', 'layer')`],
  },
  {
    rule: 'no object is smaller than empty',
    refused: [`update object set size_bytes = -1 where oid = 'file2'`],
    because: 'CHECK constraint failed: size_bytes >= 0',
    allowed: [`update object set size_bytes = 0 where oid = 'file2'`],
  },
  {
    rule: 'the states of an upload session are two',
    refused: [uploadRow('second', 'null', `'paused'`, 'null')],
    because: 'CHECK constraint failed: state in',
    allowed: [uploadRow('second', 'null', `'done'`, `'layer'`)],
  },
  {
    rule: 'an open upload session has an object',
    refused: [uploadRow('second', 'null', `'open'`, 'null')],
    because: "CHECK constraint failed: (state = 'open') = (oid is not null)",
    allowed: [
      `insert into object (oid, state) values ('file4', 'pending')`,
      uploadRow('second', `'file4'`, `'open'`, 'null'),
    ],
  },
  {
    rule: 'an upload session that is done has let go of its object',
    refused: [`update upload set state = 'done', result_digest = 'layer' where id = 'session'`],
    because: "CHECK constraint failed: (state = 'open') = (oid is not null)",
    allowed: [`update upload set state = 'done', result_digest = 'layer', oid = null where id = 'session'`],
  },
  {
    rule: 'an upload session that is done knows its digest (R30)',
    refused: [`update upload set state = 'done', oid = null where id = 'session'`],
    because: "CHECK constraint failed: (state = 'done') = (result_digest is not null)",
    allowed: [`update upload set state = 'done', oid = null, result_digest = 'layer' where id = 'session'`],
  },
  {
    rule: 'an open upload session has no result yet',
    refused: [`update upload set result_digest = 'layer' where id = 'session'`],
    because: "CHECK constraint failed: (state = 'done') = (result_digest is not null)",
    allowed: [`update upload set result_digest = null where id = 'session'`],
  },
  {
    rule: 'an upload session never stands before its first byte',
    refused: [`update upload set offset_bytes = -1 where id = 'session'`],
    because: 'CHECK constraint failed: offset_bytes >= 0',
    allowed: [`update upload set offset_bytes = 0 where id = 'session'`],
  },
  {
    rule: 'the kinds of a manifest are two',
    refused: [manifestRow('app', 'new', 'list')],
    because: 'CHECK constraint failed: kind in',
    allowed: [manifestRow('app', 'new', 'index')],
  },
  {
    rule: 'the states of a manifest are two',
    refused: [manifestRow('app', 'new', 'image', `'draft', null`)],
    because: 'CHECK constraint failed: state in',
    allowed: [manifestRow('app', 'new', 'image', `'live', null`)],
  },
  {
    rule: 'a manifest in the trash has a time at which it leaves',
    refused: [manifestRow('app', 'new', 'image', `'trashed', null`)],
    because: "CHECK constraint failed: (state = 'trashed') = (trash_until is not null)",
    allowed: [manifestRow('app', 'new', 'image', `'trashed', 1`)],
  },
  {
    rule: 'a live manifest has no such time',
    refused: [`update manifest set state = 'live' where digest = 'gone'`],
    because: "CHECK constraint failed: (state = 'trashed') = (trash_until is not null)",
    allowed: [`update manifest set state = 'live', trash_until = null where digest = 'gone'`],
  },
  {
    rule: 'the size of a manifest is the number of its bytes',
    refused: [manifestRow('app', 'new', 'image', undefined, `2, x'00'`)],
    because: 'CHECK constraint failed: length(bytes) = size_bytes',
    allowed: [manifestRow('app', 'new', 'image', undefined, `2, x'00ff'`)],
  },
  {
    rule: 'an edge holds the blob that it names and no other',
    refused: [`insert into manifest_blob values ('app', 'image', 'config', 5, 'layer')`],
    because: 'CHECK constraint failed: link_digest = digest',
    allowed: [`insert into manifest_blob values ('app', 'index', 'layer', 5, 'layer')`],
  },
  {
    rule: 'an index holds the manifest that it names and no other',
    refused: [`insert into manifest_child values ('app', 'index', 'gone', 'image')`],
    because: 'CHECK constraint failed: present_child = child',
    allowed: [`insert into manifest_child values ('app', 'index', 'gone', 'gone')`],
  },
  {
    rule: 'the kinds of a review are four',
    refused: [`insert into task (kind, key1, due_at) values ('repository', 'app', 0)`],
    because: 'CHECK constraint failed: kind in',
    allowed: [`insert into task (kind, key1, due_at) values ('object', 'file1', 0)`],
  },
];

const types: readonly Rule[] = [
  {
    rule: 'the end of a lease is a number',
    refused: [`update link set lease_until = 'tomorrow'`],
    because: 'cannot store TEXT value in INTEGER column link.lease_until',
    allowed: [`update link set lease_until = 1893456000000`],
  },
  {
    rule: 'the size of an object is a whole number',
    refused: [`update object set size_bytes = '0.5' where oid = 'file2'`],
    because: 'cannot store REAL value in INTEGER column object.size_bytes',
    allowed: [`update object set size_bytes = 9007199254740991 where oid = 'file2'`],
  },
  {
    rule: 'the offset of an upload session is a number',
    refused: [`update upload set offset_bytes = 'end'`],
    because: 'cannot store TEXT value in INTEGER column upload.offset_bytes',
    allowed: [`update upload set offset_bytes = 5`],
  },
  {
    rule: 'the time of a review is a number',
    refused: [`insert into task (kind, key1, due_at) values ('object', 'file1', 'now')`],
    because: 'cannot store TEXT value in INTEGER column task.due_at',
    allowed: [`insert into task (kind, key1, due_at) values ('object', 'file1', 0)`],
  },
  {
    rule: 'every review has a time (I9)',
    refused: [`insert into task (kind, key1, due_at) values ('object', 'file1', null)`],
    because: 'NOT NULL constraint failed: task.due_at',
    allowed: [`insert into task (kind, key1, due_at) values ('object', 'file1', 0)`],
  },
  {
    rule: 'nobody computes the digest of a live object but the database',
    refused: [`update object set live_digest = 'layer' where oid = 'file2'`],
    because: 'cannot UPDATE generated column',
    allowed: [`update object set digest = 'layer' where oid = 'file2'`],
  },
];

describe.each([
  ['references', references],
  ['what there is only once', onlyOnce],
  ['checks', checks],
  ['types', types],
])('the schema keeps its rules: %s', (_, rules) => {
  test.each([...rules])('$rule', async ({ refused, because, allowed }) => {
    expect(await refusalOf(refused)).toContain(wordsFor(because));
    expect(await refusalOf(allowed)).toBeUndefined();
  });
});

test('a link may come before its object within one transaction, but not a tag before its manifest', async () => {
  const linked = [linkRow('app', 'config'), `update object set state = 'live', digest = 'config' where oid = 'file2'`];
  expect(await refusalOf(linked)).toBeUndefined();
  const tagged = [tagRow('app', 'v1', 'new'), manifestRow('app', 'new', 'image')];
  expect(await refusalOf(tagged)).toContain(wordsFor(foreignKey));
});
