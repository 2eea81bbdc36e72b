import { describe, expect, test } from 'bun:test';
import { array, assert, asyncProperty, constantFrom, integer, nat, tuple, uint8Array } from 'fast-check';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import type { LayerEntry } from '../../src/find/layer-entries.ts';
import {
  archive,
  archiveEnd,
  data,
  extension,
  file,
  header,
  madeBy,
  paxRecord,
  readLayer,
  summed,
} from './archives.ts';

const whole = { kind: 'whole' } as const;

async function pathsOf(bytes: Uint8Array): Promise<readonly string[]> {
  const { entries, end } = await readLayer(bytes);
  expect(end).toEqual(whole);
  return entries.map(({ path }) => path);
}

const component = 'a-directory-with-quite-a-long-name-so-that-a-few-of-them-are-too-long-for-a-header';
const long = `${component}/${component}/${component}/.env`;
const tree = `mkdir -p tree/home/u/.ssh "tree/${long.slice(0, -5)}"
printf secret > tree/home/u/.ssh/id_rsa
printf x > "tree/${long}"
ln tree/home/u/.ssh/id_rsa tree/linked
ln -s /etc/passwd "tree/passwd"
head -c 100000 /dev/zero > tree/zeros`;
const inTree: readonly LayerEntry[] = [
  { path: long, type: 'file', sizeBytes: 1, linkTarget: undefined },
  { path: 'home/u/.ssh/id_rsa', type: 'file', sizeBytes: 6, linkTarget: undefined },
  { path: 'linked', type: 'hard link', sizeBytes: 0, linkTarget: './home/u/.ssh/id_rsa' },
  { path: 'passwd', type: 'symlink', sizeBytes: 0, linkTarget: '/etc/passwd' },
  { path: 'zeros', type: 'file', sizeBytes: 100_000, linkTarget: undefined },
];

function expectTree(entries: readonly LayerEntry[]): void {
  const paths = new Set(inTree.map(({ path }) => path));
  expect(entries.filter(({ path }) => paths.has(path))).toEqual([...inTree]);
}

const sorted = 'tar --sort=name';

describe('what tar has made', () => {
  test.each(['gnu', 'pax'])('in the format %s is read, long names and links too', async (format) => {
    const bytes = await madeBy(`${tree}; ${sorted} --format=${format} -C tree -cf made .`);
    const { entries, end } = await readLayer(bytes);
    expect(end).toEqual(whole);
    expectTree(entries);
    expect(entries.filter(({ type }) => type === 'directory').map(({ path }) => path)).toContain('home/u/.ssh');
  });

  test('in the format ustar is read, names in two parts too', async () => {
    const bytes = await madeBy(`mkdir -p ${component}/${component}; printf x > ${component}/${component}/.env
tar --format=ustar -cf made ${component}/${component}/.env`);
    expect(await pathsOf(bytes)).toEqual([`${component}/${component}/.env`]);
  });

  test('of before there were formats is read', async () => {
    const bytes = await madeBy('printf x > .env; tar --format=v7 -cf made .env');
    expect((await readLayer(bytes)).entries).toMatchObject([{ path: '.env', sizeBytes: 1 }]);
  });

  test.each(['--format=gnu', '--format=pax --sparse-version=0.0', '--format=pax --sparse-version=0.1', '--format=pax'])(
    'of sparse files with %s has their names and sizes, and what comes after them',
    async (format) => {
      // So many pieces that their list does not fit into a header of GNU.
      const bytes = await madeBy(`for piece in $(seq 0 2 60); do
  printf x | dd of=sparse.env bs=1 seek=$((piece * 65536)) conv=notrunc status=none
done; printf y > after; tar -S ${format} -cf made sparse.env after`);
      expect(bytes.byteLength).toBeLessThan(1_000_000);
      const { entries, end } = await readLayer(bytes);
      expect(end).toEqual(whole);
      expect(entries).toMatchObject([
        { path: 'sparse.env', type: 'file', sizeBytes: 60 * 65_536 + 1 },
        { path: 'after', type: 'file', sizeBytes: 1 },
      ]);
    },
  );

  test('and gzip has compressed, in several members, is read', async () => {
    const bytes = await madeBy(`${tree}; ${sorted} -C tree -cf t .
head -c 5000 t | gzip > made; tail -c +5001 t | gzip -1 >> made`);
    expectTree((await readLayer(bytes)).entries);
  });

  test.if(Bun.which('zstd') !== null)('and zstd has compressed, in several frames, is read', async () => {
    const bytes = await madeBy(`${tree}; ${sorted} -C tree -cf t .
head -c 5000 t | zstd > made; tail -c +5001 t | zstd -19 --long=27 >> made`);
    expectTree((await readLayer(bytes)).entries);
  });

  test.if(Bun.which('zstd') !== null)(
    'and zstd has compressed with a window that is too large is reported',
    async () => {
      const bytes = await madeBy('head -c 300000000 /dev/zero | zstd -3 --long=30 > made');
      expect((await readLayer(bytes)).end).toMatchObject({ kind: 'unread' });
    },
  );
});

describe('names', () => {
  test('are told without what leads nowhere, as a client would unpack them', async () => {
    const names = ['./a/.env', '/b/.env', '//c//./.env', 'd/../e/.env', '../../f'];
    expect(await pathsOf(archive(...names.map((name) => file(name))))).toEqual([
      'a/.env',
      'b/.env',
      'c/.env',
      'e/.env',
      'f',
    ]);
  });

  test('that are not UTF-8 are told escaped', async () => {
    expect(await pathsOf(archive(file(Buffer.from('caf\xe9/.env', 'latin1')), file('café')))).toEqual([
      String.raw`caf\xe9/.env`,
      'café',
    ]);
  });

  test('of pax headers come before those of GNU, and hold for one entry', async () => {
    const bytes = archive(
      extension('L', 'of gnu\0'),
      extension('x', paxRecord('path', 'of pax')),
      file('own'),
      extension('L', 'of gnu\0'),
      file('own'),
      file('own'),
    );
    expect(await pathsOf(bytes)).toEqual(['of pax', 'of gnu', 'own']);
  });

  test('of global pax headers hold for all that follow', async () => {
    const bytes = archive(
      file('own'),
      extension('g', paxRecord('linkpath', 'somewhere')),
      header({ name: 'one', type: '2', linkName: 'own' }),
      header({ name: 'two', type: '2', linkName: 'own' }),
    );
    expect((await readLayer(bytes)).entries.map(({ linkTarget }) => linkTarget)).toEqual([
      undefined,
      'somewhere',
      'somewhere',
    ]);
  });

  test('in two parts are put together in ustar, but not in the format of GNU, which has times there', async () => {
    const ustar = header({ name: '.env' });
    ustar.write('a/prefix', 345);
    const gnu = header({ name: '.env', magic: 'ustar  \0' });
    gnu.write('01234567', 345);
    expect(await pathsOf(archive(summed(ustar), summed(gnu)))).toEqual(['a/prefix/.env', '.env']);
  });

  test('longer than any file system takes are cut to their ends', async () => {
    const name = `${'d/'.repeat(100_000)}.env`;
    const [path = ''] = await pathsOf(archive(extension('x', paxRecord('path', name)), file('own')));
    expect(path).toEndWith('d/d/.env');
    expect(path.length).toBeLessThanOrEqual(4096);
  });
});

describe('sizes', () => {
  test('of a pax header say how far the data goes', async () => {
    const bytes = archive(
      extension('x', paxRecord('size', '1500')),
      header({ name: 'large' }),
      data('x'.repeat(1500)),
      file('after'),
    );
    expect((await readLayer(bytes)).entries).toMatchObject([{ path: 'large', sizeBytes: 1500 }, { path: 'after' }]);
  });

  test('in base 256 are read', async () => {
    const large = header({ name: 'large' });
    large.set([0x80, 0, 0, 0, 0, 0, 0, 0x20, 0, 0, 0, 0], 124);
    const { entries, end } = await readLayer(archive(summed(large)));
    expect(entries).toMatchObject([{ path: 'large', sizeBytes: 0x20_00_00_00_00 }]);
    expect(end).toEqual({ kind: 'unread', reason: 'it ends before an entry does' });
  });

  test('of links say nothing of data', async () => {
    const bytes = archive(header({ name: 'linked', type: '1', sizeBytes: 100_000, linkName: 'x' }), file('after'));
    expect(await pathsOf(bytes)).toEqual(['linked', 'after']);
  });
});

describe('what is no archive', () => {
  test.each([
    ['nothing', Buffer.alloc(0)],
    ['a config', Buffer.from('{"architecture":"amd64"}'.repeat(100))],
    ['a compressed config', gzipSync('{"architecture":"amd64"}'.repeat(100))],
  ])('such as %s is told from one', async (_, bytes) => {
    expect(await readLayer(bytes)).toEqual({ entries: [], end: { kind: 'no archive' } });
  });

  test('and an empty archive is one', async () => {
    expect(await readLayer(gzipSync(archiveEnd))).toEqual({ entries: [], end: whole });
  });
});

describe('damage', () => {
  const large = archive(
    ...Array.from({ length: 3000 }, (_, index) => file(`${index}/.env`, Bun.hash(`${index}`).toString())),
  );

  test.each([
    ['as it is', large],
    ['gzip', gzipSync(large)],
    ['zstd', zstdCompressSync(large)],
  ])('that cuts an archive off (%s) leaves what comes before it', async (_, bytes) => {
    const { entries, end } = await readLayer(bytes.subarray(0, Math.floor(bytes.byteLength / 2) - 100));
    expect(end).toMatchObject({ kind: 'unread' });
    expect(entries.length).toBeGreaterThan(1000);
    expect(entries[1000]?.path).toBe('1000/.env');
  });

  test('that cuts zstd off where an entry ends is noticed too', async () => {
    const bytes = zstdCompressSync(file('.env', 'x'));
    expect((await readLayer(bytes)).end).toEqual(whole);
    const { end } = await readLayer(bytes.subarray(0, -1));
    expect(end).toMatchObject({ kind: 'unread' });
  });

  test('in the middle of what is compressed leaves what comes before it', async () => {
    const bytes = gzipSync(large, { level: 0 });
    bytes.fill(0xff, 900_000, 900_100);
    bytes.fill(0x01, 1_000_000, 2_000_000);
    const { entries, end } = await readLayer(bytes);
    expect(end).toMatchObject({ kind: 'unread' });
    expect(entries.length).toBeGreaterThan(500);
  });

  test('of a header is passed over', async () => {
    const damaged = file('lost', 'content');
    damaged.write('x', 0);
    expect(await readLayer(archive(file('before'), damaged, file('after')))).toMatchObject({
      entries: [{ path: 'before' }, { path: 'after' }],
      end: { kind: 'unread', reason: 'no header where one has to be, at byte 512' },
    });
  });

  test('of a pax header leaves the name that the entry has by itself', async () => {
    expect(await readLayer(archive(extension('x', 'garbage'), file('own')))).toMatchObject({
      entries: [{ path: 'own' }],
      end: { kind: 'unread', reason: 'a damaged pax header at byte 512' },
    });
  });

  test('that claims a name of a GiB takes no memory', async () => {
    const claimed = header({ name: 'more', type: 'L', sizeBytes: 1024 ** 3 });
    expect((await readLayer(archive(claimed, file('own')))).end).toEqual({
      kind: 'unread',
      reason: 'a name or pax header of 1073741824 bytes, more than 1048576, at byte 512',
    });
  });

  test('is not what follows the end of an archive, and an archive that does is read', async () => {
    const garbage = data('garbage');
    expect(await pathsOf(Buffer.concat([archive(file('a')), garbage]))).toEqual(['a']);
    expect(await pathsOf(Buffer.concat([archive(file('a')), archive(file('b'))]))).toEqual(['a', 'b']);
  });
});

describe('a bomb', () => {
  const mib = Buffer.alloc(1024 ** 2);
  const start = header({ name: 'zeros', sizeBytes: 1024 * mib.byteLength });

  test.each([
    ['gzip', gzipSync],
    ['zstd', zstdCompressSync],
  ])('of %s takes no memory', async (_, compress) => {
    const zeros = compress(mib);
    const bytes = Buffer.concat([
      compress(start),
      ...Array.from({ length: 1024 }, () => zeros),
      compress(file('.env')),
    ]);
    Bun.gc(true);
    const before = process.memoryUsage.rss();
    const { entries } = await readLayer(bytes);
    expect(entries.map(({ path }) => path)).toEqual(['zeros', '.env']);
    // Pieces of it wait for the runtime to notice that they are not needed any more.
    expect(process.memoryUsage.rss() - before).toBeLessThan(600 * mib.byteLength);
  });

  test('is read as far as it may be', async () => {
    const bytes = zstdCompressSync(Buffer.concat([start, mib, mib]));
    expect(await readLayer(bytes, { maxLayerBytes: 1_000_000 })).toMatchObject({
      entries: [{ path: 'zeros' }],
      end: { kind: 'unread', reason: 'it is larger than 1000000 bytes once it is decompressed' },
    });
  });
});

describe('whatever comes', () => {
  const small = archive(
    extension('x', paxRecord('path', long)),
    file('own', 'secret'),
    header({ name: 'link', type: '2', linkName: 'own' }),
    extension('L', `${long}\0`),
    file('own'),
  );

  test.each([
    ['as it is', small],
    ['gzip', gzipSync(small)],
    ['zstd', zstdCompressSync(small)],
  ])('it does not matter where chunks end (%s)', async (_, bytes) => {
    const expected = await readLayer(bytes);
    expect(expected.entries.map(({ path }) => path)).toEqual([long, 'link', long]);
    const most = Math.min(bytes.byteLength, 600);
    for (let chunkBytes = 1; chunkBytes <= most; chunkBytes += chunkBytes < 40 ? 1 : 37) {
      expect(await readLayer(bytes, { chunkBytes })).toEqual(expected);
    }
  });

  test('it ends, without an error', async () => {
    const compressions = [
      (bytes: Buffer) => bytes,
      (bytes: Buffer) => gzipSync(bytes),
      (bytes: Buffer) => zstdCompressSync(bytes),
    ];
    await assert(
      asyncProperty(
        constantFrom(...compressions),
        array(tuple(nat(), integer({ min: 0, max: 255 })), { maxLength: 4 }),
        array(tuple(nat(), integer({ min: 0, max: 255 })), { maxLength: 4 }),
        nat(),
        integer({ min: 1, max: 2000 }),
        async (compress, inside, outside, cutAt, chunkBytes) => {
          const compressed = Buffer.from(compress(changed(small, inside)));
          const bytes = changed(compressed, outside);
          const cut = bytes.subarray(0, cutAt % 4 === 0 ? cutAt % bytes.byteLength : undefined);
          const { entries } = await readLayer(cut, { chunkBytes, maxLayerBytes: 10_000_000 });
          expect(entries.length).toBeLessThanOrEqual(small.byteLength / 512);
        },
      ),
      { numRuns: 300 },
    );
  });

  test('garbage with the beginning of an archive ends too', async () => {
    const starts = [
      Buffer.of(0x1f, 0x8b, 8),
      Buffer.of(0x28, 0xb5, 0x2f, 0xfd),
      Buffer.of(0x50, 0x2a, 0x4d, 0x18),
      file('a'),
    ];
    await assert(
      asyncProperty(constantFrom(...starts), uint8Array({ maxLength: 3000 }), async (start, garbage) => {
        await readLayer(Buffer.concat([start, garbage]), { maxLayerBytes: 10_000_000 });
      }),
      { numRuns: 300 },
    );
  });
});

function changed(bytes: Buffer, changes: readonly (readonly [number, number])[]): Buffer {
  const copy = Buffer.from(bytes);
  for (const [at, value] of changes) copy[at % copy.byteLength] = value;
  return copy;
}
