import { describe, expect, setDefaultTimeout, test } from 'bun:test';
import { join } from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { findInLayers } from '../../src/http/admin/find.ts';
import { askForLines, linesOf } from '../admin/asked-lines.ts';
import { pushImage, pushIndex, remove } from '../admin/pushed-images.ts';
import { digestOf, freshBytes } from '../http/content.ts';
import { expectRefusal } from '../http/refusal.ts';
import { ServedRegistry } from '../http/served-registry.ts';
import { until } from '../server/until.ts';
import { archive, extension, file, header, paxRecord } from './archives.ts';
import { wherry } from '../admin/wherry.ts';

// The process that looks has a low priority, so on a busy machine it takes long to come to its turn.
setDefaultTimeout(120_000);

const main = join(import.meta.dir, '..', '..', 'src', 'main.ts');
const repo = 'team/app';
const other = 'other/tool';

/** Secrets in a layer: five of them, of which one is there no more. */
const secrets = gzipSync(
  archive(
    file('app/.env', 'PASSWORD=x'),
    file('home/u/.ssh/id_rsa', 'secret'),
    header({ name: 'app/link.env', type: '2', linkName: '../etc/shadow' }),
    extension('x', paxRecord('path', `${'deep/'.repeat(60)}.env`)),
    file('short'),
    file('app/.wh.old.env'),
  ),
);
const harmless = zstdCompressSync(archive(file('usr/bin/app', 'program')));

/** Takes minutes to look into, and some MB: 128 GiB of zeros. */
const endless = endlessLayer();

function endlessLayer(): Uint8Array {
  const zeros = zstdCompressSync(Buffer.alloc(16 * 1024 ** 2));
  return Buffer.concat([zstdCompressSync(file('first.env')), ...Array.from({ length: 8192 }, () => zeros)]);
}

const begin = async (registry: ServedRegistry, body: object, signal?: AbortSignal) =>
  await askForLines(registry, '/find', body, signal);

/** What a search says. */
async function found(registry: ServedRegistry, body: object) {
  const lines = await Array.fromAsync(linesOf(findInLayers, await begin(registry, body)));
  const [counts] = lines.flatMap((line) => ('counts' in line ? [line.counts] : []));
  return {
    hits: lines.flatMap((line) => ('hit' in line ? [line.hit] : [])),
    unread: lines.flatMap((line) => ('unread' in line ? [line.unread] : [])),
    counts,
  };
}

const pathsOf = ({ hits }: Awaited<ReturnType<typeof found>>) => hits.map(({ path }) => path);

describe('a search through the layers of a server', () => {
  test('finds what matches, and says where it is and what has it', async () => {
    await using registry = await ServedRegistry.start();
    const image = await pushImage(registry, repo, { tags: ['v1', 'v2'], layers: [secrets] });
    await pushIndex(registry, repo, ['all'], image);
    await pushImage(registry, other, { tags: ['x'], layers: [harmless] });
    const { hits, unread, counts } = await found(registry, { patterns: ['.env', 'id_rsa'] });
    const told = {
      digest: digestOf(secrets),
      sizeBytes: secrets.byteLength,
      mediaType: 'application/vnd.oci.image.layer.v1.tar',
      type: 'file' as const,
      isWhiteout: false,
      repositories: [repo],
      repositoryCount: 1,
      images: ['v1', 'v2', 'all'].map((tag) => ({ target: `${repo}:${tag}`, isInTrash: false })),
      manifestCount: 1,
    };
    expect(hits).toEqual([
      { ...told, path: 'app/.env', entrySizeBytes: 10 },
      { ...told, path: 'home/u/.ssh/id_rsa', entrySizeBytes: 6 },
      { ...told, path: `${'deep/'.repeat(60)}.env`, entrySizeBytes: 0 },
    ]);
    expect(unread).toEqual([]);
    // Two configs and two layers are no archives.
    expect(counts).toMatchObject({ found: 3, blobsWithFound: 1, blobs: 6, noArchives: 4, unread: 0 });
    expect(counts?.bytes).toBe(secrets.byteLength + harmless.byteLength + 400);
  });

  test('takes globs for whole paths, and for names in any case', async () => {
    await using registry = await ServedRegistry.start();
    await pushImage(registry, repo, { tags: ['x'], layers: [secrets] });
    expect(pathsOf(await found(registry, { patterns: ['home/*/.ssh/*'] }))).toEqual(['home/u/.ssh/id_rsa']);
    expect(pathsOf(await found(registry, { patterns: ['ID_RSA'] }))).toEqual([]);
    expect(pathsOf(await found(registry, { patterns: ['ID_RSA'], ignoreCase: true }))).toHaveLength(1);
  });

  test('finds links, and whiteouts by what they take away', async () => {
    await using registry = await ServedRegistry.start();
    await pushImage(registry, repo, { tags: ['x'], layers: [secrets] });
    expect((await found(registry, { patterns: ['link.env', 'old.env'] })).hits).toMatchObject([
      { path: 'app/link.env', type: 'symlink', linkTarget: '../etc/shadow', isWhiteout: false },
      { path: 'app/old.env', type: 'file', isWhiteout: true },
    ]);
  });

  test('goes into what only the trash has, and what no image has', async () => {
    await using registry = await ServedRegistry.start();
    const image = await pushImage(registry, repo, { tags: ['x'], layers: [secrets] });
    await remove(registry, repo, image.digest);
    await registry.send(`/v2/${repo}/blobs/${digestOf(secrets)}`, { method: 'DELETE' });
    const loose = gzipSync(archive(file('loose.env')));
    await registry.pushBlob(other, loose);
    const { hits } = await found(registry, { patterns: ['id_rsa', 'loose.env'] });
    expect(hits.find(({ path }) => path === 'home/u/.ssh/id_rsa')).toMatchObject({
      images: [{ target: `${repo}:x`, isInTrash: true }],
      manifestCount: 1,
    });
    expect(hits.find(({ path }) => path === 'loose.env')).toMatchObject({
      repositories: [other],
      images: [],
      manifestCount: 0,
    });
  });

  test('reads a blob once, whoever has it, and only those that are asked for', async () => {
    await using registry = await ServedRegistry.start();
    const another = gzipSync(archive(file('another/.env')));
    await pushImage(registry, repo, { tags: ['x'], layers: [secrets] });
    await pushImage(registry, other, { tags: ['x'], layers: [secrets, another] });
    const patterns = ['**/.env'];
    expect((await found(registry, { patterns })).hits.filter(({ path }) => path === 'app/.env')).toMatchObject([
      { repositories: [other, repo], repositoryCount: 2, manifestCount: 2 },
    ]);
    expect(pathsOf(await found(registry, { patterns, repositories: ['team/*'] }))).not.toContain('another/.env');
    expect(pathsOf(await found(registry, { patterns, repositories: ['other/*'] }))).toContain('another/.env');
    expect(pathsOf(await found(registry, { patterns, digests: [digestOf(another)] }))).toEqual(['another/.env']);
  });

  test('names what it could not read to its end, and goes on', async () => {
    await using registry = await ServedRegistry.start();
    const cut = secrets.subarray(0, -8);
    const large = gzipSync(archive(file('large.env', 'x'.repeat(100_000))));
    for (const layer of [cut, large, secrets]) await registry.pushBlob(repo, layer);
    const unknown = digestOf(freshBytes());
    const { unread, hits } = await found(registry, {
      patterns: ['*.env'],
      digests: [cut, large, secrets].map((layer) => digestOf(layer)).concat(unknown),
      maxLayerBytes: 50_000,
    });
    expect(unread).toEqual([
      { digest: digestOf(cut), sizeBytes: cut.byteLength, reason: 'it has been cut off' },
      {
        digest: digestOf(large),
        sizeBytes: large.byteLength,
        reason: 'it is larger than 50000 bytes once it is decompressed',
      },
      { digest: unknown, sizeBytes: 0, reason: 'the registry has no such blob; of an image, name the layers' },
    ]);
    expect(new Set(hits.map(({ digest }) => digest))).toEqual(
      new Set([cut, large, secrets].map((layer) => digestOf(layer))),
    );
  });

  test('leaves out a blob that goes meanwhile', async () => {
    await using registry = await ServedRegistry.start();
    await registry.pushBlob(repo, secrets);
    const [name = ''] = await registry.objectFiles();
    await registry.objects.remove(name);
    expect(await found(registry, { patterns: ['.env'] })).toMatchObject({
      hits: [],
      unread: [],
      counts: { blobs: 0, found: 0 },
    });
  });

  test('tells of more than fits into one answer of the process that looks', async () => {
    await using registry = await ServedRegistry.start();
    const names = Array.from({ length: 2000 }, (_, index) => `${index}/.env`);
    await registry.pushBlob(repo, gzipSync(archive(...names.map((name) => file(name)))));
    expect(pathsOf(await found(registry, { patterns: ['.env'] }))).toEqual(names);
  });

  test('is one at a time, says how far it has come, and ends with whoever listens', async () => {
    await using registry = await ServedRegistry.start();
    await registry.pushBlob(repo, endless);
    const lines = linesOf(findInLayers, await begin(registry, { patterns: ['.env'] }));
    await expectRefusal(await begin(registry, { patterns: ['.env'] }), 409, 'DENIED');
    for await (const line of lines) {
      expect(line).toHaveProperty('progress');
      if (!('progress' in line) || line.progress.bytes === 0) continue;
      expect(line.progress).toMatchObject({ blobs: 0, totalBlobs: 1, totalBytes: endless.byteLength });
      break;
    }
    await until('another one can begin', async () => {
      const answer = await begin(registry, { patterns: ['x'], digests: [digestOf('nothing')] });
      await answer.text();
      return answer.status === 200;
    });
  });

  test('does not keep requests waiting', async () => {
    await using registry = await ServedRegistry.start();
    await registry.pushBlob(repo, endless);
    const lines = linesOf(findInLayers, await begin(registry, { patterns: ['.env'] }));
    await lines.next();
    for (let request = 0; request < 20; request++) expect((await registry.send('/v2/')).status).toBe(200);
    await lines.return(undefined);
  });

  test('is broken off where the server is asked to end', async () => {
    await using registry = await ServedRegistry.start();
    await registry.pushBlob(repo, endless);
    const lines = Array.fromAsync(linesOf(findInLayers, await begin(registry, { patterns: ['.env'] })));
    await registry.stop();
    expect((await lines).at(-1)).toMatchObject({
      errors: [{ code: 'UNAVAILABLE', message: 'the search was broken off' }],
    });
  });

  test.each([
    [{ patterns: [] }],
    [{}],
    [{ patterns: ['[a'] }],
    [{ patterns: ['a'], digests: ['sha256:x'] }],
    [{ patterns: ['a'], repositories: ['Team'] }],
    [{ patterns: ['a'], maxLayerBytes: 0 }],
    [{ patterns: Array.from({ length: 101 }, () => 'a') }],
  ])('is refused where %j makes no sense', async (body) => {
    await using registry = await ServedRegistry.start();
    await expectRefusal(await begin(registry, body), 400, 'UNSUPPORTED');
  });
});

describe.each(['a server that runs', 'no server'])('wherry find, with %s,', (kind) => {
  async function prepared() {
    const registry = await ServedRegistry.start();
    await pushImage(registry, repo, { tags: ['v1'], layers: [secrets] });
    const damaged = secrets.subarray(0, 50);
    await registry.pushBlob(other, damaged);
    if (kind === 'no server') await registry.stop();
    const find = async (...args: readonly string[]) => await wherry(registry.dataDirectory, 'find', ...args);
    return { registry, find, damaged: digestOf(damaged) };
  }

  test('prints a row for each entry, and what can be done about it', async () => {
    const { registry, find, damaged } = await prepared();
    await using _ = registry;
    const { out, err, code } = await find('.env', '**/.ssh/*', '--repo', 'team/*');
    const digest = digestOf(secrets);
    expect(code).toBe(0);
    expect(out.split('\n').map((row) => row.split(/ {2,}/).map((cell) => cell.trim()))).toEqual([
      ['SIZE', 'BLOB', 'USED BY', 'PATH'],
      ['10 B', digest, `${repo}:v1`, 'app/.env'],
      ['6 B', digest, `${repo}:v1`, 'home/u/.ssh/id_rsa'],
      ['0 B', digest, `${repo}:v1`, `${'deep/'.repeat(60)}.env`],
      [''],
    ]);
    expect(err).toContain('found 3 in 1 blobs');
    expect(err).toContain(`wherry purge ${digest} --why`);
    expect(err).not.toContain(damaged);
  });

  test('prints a line of JSON for each, and says in its exit code whether there is any', async () => {
    const { registry, find, damaged } = await prepared();
    await using _ = registry;
    const lines = (await find('id_rsa', '--json')).out.trim().split('\n');
    const values = lines.map((line): unknown => JSON.parse(line));
    const isAbout = (value: unknown) => JSON.stringify(value).includes('id_rsa');
    expect(values.filter(isAbout)).toMatchObject([
      { digest: digestOf(secrets), path: 'home/u/.ssh/id_rsa', images: [{ target: `${repo}:v1` }] },
    ]);
    expect(values.at(-1)).toMatchObject({ counts: { found: 1, unread: 1 } });
    // What could not be read may hold it.
    const nowhere = await find('nothing.like.it');
    expect(nowhere).toMatchObject({ out: '', code: 2 });
    expect(nowhere.err).toContain(`${damaged} could not be read to its end: it has been cut off`);
    expect(await find('nothing.like.it', '--repo', 'team/*')).toMatchObject({ out: '', code: 1 });
    expect((await find('[a')).code).toBe(2);
    expect((await find()).code).toBe(2);
  });
});

test('wherry find that is interrupted ends the work of the server', async () => {
  await using registry = await ServedRegistry.start();
  await registry.pushBlob(repo, endless);
  const child = Bun.spawn([process.execPath, main, 'find', 'first.env', '--data', registry.dataDirectory], {
    env: { ...process.env, ...registry.environment },
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'ignore',
  });
  // It has begun once it has found something.
  await child.stdout.getReader().read();
  child.kill('SIGINT');
  await child.exited;
  await until('another one can begin', async () => {
    const answer = await begin(registry, { patterns: ['x'], digests: [digestOf('nothing')] });
    await answer.text();
    return answer.status === 200;
  });
});

test('a name that would steer a terminal is printed escaped', async () => {
  await using registry = await ServedRegistry.start();
  await registry.pushBlob(repo, archive(file('\u001B[2J.env')));
  const { out } = await wherry(registry.dataDirectory, 'find', '*.env');
  expect(out).toContain(String.raw`\u001b[2J.env`);
  expect(out).not.toContain('\u001B');
});
