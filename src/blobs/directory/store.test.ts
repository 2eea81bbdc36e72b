import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  existsSync,
  fstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { refusalOf } from '../../../test/pairs/refusal.ts';
import { until } from '../../../test/server/until.ts';
import { BlobMissingError, BlobStoreFullError, type BlobWriter } from '../store.ts';
import { directoryCalls } from './calls.ts';
import { DirectoryBlobStore } from './store.ts';

const oid = 'ab0123456789abcdef0123456789abcd';
const otherOid = 'cd0123456789abcdef0123456789abcd';
const mebibyte = 1024 * 1024;

let directory: string;
let store: DirectoryBlobStore;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'wherry-blobs-'));
  store = await DirectoryBlobStore.open(directory);
});

afterEach(() => {
  rmSync(directory, { recursive: true, force: true });
});

function pathOf(object: string): string {
  return join(directory, 'objects', object.slice(0, 2), object);
}

async function append(object: string, offsetBytes: number, ...chunks: readonly (string | Uint8Array)[]): Promise<void> {
  const writer = await store.append(object, offsetBytes);
  for (const chunk of chunks) await writer.write(Buffer.from(chunk));
  await writer.close();
}

async function contentOf(object: string): Promise<string> {
  return await store.read(object).text();
}

/** What this process has open. */
function openFiles(): readonly string[] {
  return readdirSync('/proc/self/fd').map((descriptor) => {
    try {
      return readlinkSync(`/proc/self/fd/${descriptor}`);
    } catch {
      // It was the one by which the list was read.
      return '';
    }
  });
}

describe('appending', () => {
  test('at 0 creates the object', async () => {
    await append(oid, 0, 'some ', 'bytes');
    expect(await contentOf(oid)).toBe('some bytes');
  });

  test('nothing at 0 creates an empty object', async () => {
    await append(oid, 0);
    expect(await store.size(oid)).toBe(0);
    expect(await contentOf(oid)).toBe('');
  });

  test('at 0 begins an object anew', async () => {
    await append(oid, 0, 'what was there before');
    await append(oid, 0, 'anew');
    expect(await contentOf(oid)).toBe('anew');
  });

  test('at the end goes on', async () => {
    await append(oid, 0, 'one ');
    await append(oid, 4, 'two ');
    await append(oid, 8, 'three');
    expect(await contentOf(oid)).toBe('one two three');
  });

  test('before the end cuts off what is behind', async () => {
    await append(oid, 0, 'kept, and this is not');
    await append(oid, 5, 'new');
    expect(await contentOf(oid)).toBe('kept,new');
  });

  test('nothing before the end cuts off what is behind', async () => {
    await append(oid, 0, 'kept, and this is not');
    await append(oid, 4);
    expect(await contentOf(oid)).toBe('kept');
  });

  test('behind the end is refused and leaves the object as it is', async () => {
    await append(oid, 0, 'short');
    const refusal = await refusalOf(store.append(oid, 6));
    expect(refusal).toBeInstanceOf(BlobMissingError);
    expect(String(refusal)).toContain("the upload's file holds 5 bytes, not 6");
    expect(await contentOf(oid)).toBe('short');
  });

  test('at an offset does not create an object', async () => {
    await refusalOf(store.append(oid, 1));
    expect(await store.size(oid)).toBeUndefined();
  });

  test('many pieces, small and larger than any buffer, keeps each byte in its place', async () => {
    const pieces = [1, 10, 4096, 0, 65_537, 3 * mebibyte + 1, 7, mebibyte, mebibyte - 1, 1].map((size) =>
      randomBytes(size),
    );
    await append(oid, 0, ...pieces);
    const whole = Buffer.concat(pieces);
    await append(oid, whole.byteLength, ...pieces);
    const stored = readFileSync(pathOf(oid));
    expect(stored.equals(Buffer.concat([whole, whole]))).toBe(true);
  });

  test('two objects at once mixes nothing', async () => {
    const [first, second] = await Promise.all([store.append(oid, 0), store.append(otherOid, 0)]);
    for (let round = 0; round < 100; round++) {
      await first.write(Buffer.from('a'.repeat(1000)));
      await second.write(Buffer.from('b'.repeat(1001)));
    }
    await Promise.all([first.close(), second.close()]);
    expect(await contentOf(oid)).toBe('a'.repeat(100_000));
    expect(await contentOf(otherOid)).toBe('b'.repeat(100_100));
  });
});

describe('cutting off', () => {
  test('leaves the first bytes, and the object can go on there', async () => {
    await append(oid, 0, 'kept, and this is not');
    await store.truncate(oid, 4);
    expect(await contentOf(oid)).toBe('kept');
    await append(oid, 4, '!');
    expect(await contentOf(oid)).toBe('kept!');
    await store.truncate(oid, 0);
    expect(await store.size(oid)).toBe(0);
  });

  test('never makes an object longer, nor makes one', async () => {
    await append(oid, 0, 'short');
    await store.truncate(oid, 100);
    await store.truncate(otherOid, 0);
    expect(await contentOf(oid)).toBe('short');
    expect(await store.size(otherOid)).toBeUndefined();
  });
});

describe('shredding', () => {
  test('writes over every byte where that means something, else over none, and says so', async () => {
    const bytes = randomBytes(2 * mebibyte + 5);
    await append(oid, 0, bytes);
    const pieces: number[] = [];
    const watched = await DirectoryBlobStore.open(directory, {
      overwrite: async (descriptor, piece, position) => {
        pieces.push(piece.byteLength);
        await directoryCalls.overwrite(descriptor, piece, position);
      },
    });
    const { outcome, words } = await watched.shred(oid);
    const isDone = outcome === 'overwritten';
    const after = readFileSync(pathOf(oid));
    expect([after.byteLength, after.equals(bytes)]).toEqual([bytes.byteLength, !isDone]);
    expect(pieces).toEqual(isDone ? [mebibyte, mebibyte, 5] : []);
    expect(words).toContain(isDone ? 'overwritten in place' : 'nothing was overwritten');
  });

  test('of what is not there makes no file', async () => {
    await store.shred(oid);
    expect(await store.size(oid)).toBeUndefined();
  });
});

describe('cutting off what was removed', () => {
  test('reaches what is still open of it, and nothing else', async () => {
    const names = [oid, otherOid, `${oid.slice(0, -1)}e`];
    for (const name of names) await append(name, 0, 'bytes');
    const descriptors = names.map((name) => openSync(pathOf(name), 'r'));
    try {
      await store.remove(oid);
      await store.remove(otherOid);
      await store.cutRemoved(new Set([oid, `${oid.slice(0, -1)}e`]));
      expect(descriptors.map((descriptor) => fstatSync(descriptor).size)).toEqual([0, 5, 5]);
    } finally {
      for (const descriptor of descriptors) closeSync(descriptor);
    }
  });
});

describe('a copy that a check has put aside', () => {
  test('is counted, and removed with the object that it was', async () => {
    mkdirSync(join(directory, 'quarantine'));
    for (const object of [oid, otherOid]) await Bun.write(join(directory, 'quarantine', object), 'damaged');
    expect(await store.quarantinedCount()).toBe(2);
    await store.removeQuarantined(oid);
    expect(readdirSync(join(directory, 'quarantine'))).toEqual([otherOid]);
  });

  test('is none where nothing was ever damaged', async () => {
    expect(await store.quarantinedCount()).toBe(0);
    await store.removeQuarantined(oid);
  });
});

describe('a disk that is full', () => {
  // Linux has a device on which every write meets one.
  test('refuses the bytes, and takes no descriptor away', async () => {
    symlinkSync('/dev/full', pathOf(oid));
    const opened = (): number => openFiles().filter((path) => path === '/dev/full').length;
    const before = opened();
    // Held on to, so that it is not the garbage collector who closes them.
    const writers: BlobWriter[] = [];
    for (const sizeBytes of [1, 1000, 3 * mebibyte]) {
      const writer = await store.append(oid, 0);
      writers.push(writer);
      const pushed = (async () => {
        try {
          await writer.write(new Uint8Array(sizeBytes));
        } finally {
          await writer.close();
        }
      })();
      expect(await refusalOf(pushed)).toBeInstanceOf(BlobStoreFullError);
    }
    // The runtime closes them in its own time.
    await until('they are closed', () => opened() <= before);
    expect([writers.length, opened()]).toEqual([3, before]);
  });

  test.each(['ENOSPC', 'EDQUOT'])('refuses a new object, and the sync of one, with %s', async (code) => {
    await append(oid, 0, 'bytes');
    const full = await DirectoryBlobStore.open(directory, {
      open: (path) => {
        throw Object.assign(new Error(`${code}: open ${path}`), { code });
      },
    });
    for (const refused of [full.append(otherOid, 0), full.append(oid, 5), full.sync(oid)]) {
      expect(await refusalOf(refused)).toBeInstanceOf(BlobStoreFullError);
    }
    expect(await contentOf(oid)).toBe('bytes');
  });

  test('refuses the sync of a directory that cannot be opened', async () => {
    await append(oid, 0, 'bytes');
    const full = await DirectoryBlobStore.open(directory, {
      open: (path, flags, mode) => {
        if (path.endsWith(oid)) return openSync(path, flags, mode);
        throw Object.assign(new Error(`ENOSPC: open ${path}`), { code: 'ENOSPC' });
      },
    });
    expect(await refusalOf(full.sync(oid))).toBeInstanceOf(BlobStoreFullError);
  });

  test('refuses to cut off bytes, where that takes room', async () => {
    await append(oid, 0, 'bytes');
    const full = await DirectoryBlobStore.open(directory, {
      truncate: async (path) => {
        throw Object.assign(new Error(`ENOSPC: truncate ${path}`), { code: 'ENOSPC' });
      },
    });
    expect(await refusalOf(full.truncate(oid, 1))).toBeInstanceOf(BlobStoreFullError);
  });

  test('is told apart from one that fails', async () => {
    const broken = await DirectoryBlobStore.open(directory, {
      open: (path) => {
        throw Object.assign(new Error(`EIO: open ${path}`), { code: 'EIO' });
      },
    });
    expect(await refusalOf(broken.append(oid, 0))).toMatchObject({ code: 'EIO' });
  });
});

describe('an object', () => {
  test('lies in objects/, in a directory of its first two digits, under its own name', async () => {
    await append(oid, 0, 'bytes');
    await append(otherOid, 0, 'other bytes');
    expect(readdirSync(join(directory, 'objects', 'ab'))).toEqual([oid]);
    expect(readdirSync(join(directory, 'objects', 'cd'))).toEqual([otherOid]);
    expect(readFileSync(join(directory, 'objects', 'ab', oid), 'utf8')).toBe('bytes');
  });

  test('can be read by the registry and its group, and by nobody else', async () => {
    await append(oid, 0, 'bytes');
    expect(statSync(pathOf(oid)).mode & 0o137).toBe(0);
  });

  test('has the size of its bytes, and none where it is not there', async () => {
    expect(await store.size(oid)).toBeUndefined();
    await append(oid, 0, 'bytes');
    expect(await store.size(oid)).toBe(5);
    await store.remove(oid);
    expect(await store.size(oid)).toBeUndefined();
  });
});

describe('reading', () => {
  test.each([
    [{ first: 0, last: 0 }, '0'],
    [{ first: 0, last: 9 }, '0123456789'],
    [{ first: 3, last: 5 }, '345'],
    [{ first: 9, last: 9 }, '9'],
  ])('the range %o gives both of its ends and what is between them', async (range, expected) => {
    await append(oid, 0, '0123456789');
    const blob = store.read(oid, range);
    expect(blob.size).toBe(expected.length);
    expect(await blob.text()).toBe(expected);
    expect(await new Response(store.read(oid, range).stream()).text()).toBe(expected);
  });

  test('goes on to the end when the object is removed meanwhile', async () => {
    const bytes = randomBytes(8 * mebibyte);
    await append(oid, 0, bytes);
    const received: Uint8Array[] = [];
    for await (const chunk of store.read(oid).stream()) {
      if (received.length === 0) await store.remove(oid);
      received.push(chunk);
    }
    expect(received.length).toBeGreaterThan(1);
    expect(Buffer.concat(received).equals(bytes)).toBe(true);
    expect(await store.size(oid)).toBeUndefined();
  });

  test('what is not there is refused as missing (R46)', async () => {
    expect(await refusalOf(store.read(oid).text())).toMatchObject({ code: 'ENOENT' });
    expect(await refusalOf(store.read(oid, { first: 1, last: 2 }).text())).toMatchObject({ code: 'ENOENT' });
  });
});

describe('removing', () => {
  test('takes the file away, and no other', async () => {
    await append(oid, 0, 'bytes');
    await append(`${oid.slice(0, -1)}e`, 0, 'neighbour');
    await store.remove(oid);
    expect(existsSync(pathOf(oid))).toBe(false);
    expect(await contentOf(`${oid.slice(0, -1)}e`)).toBe('neighbour');
  });

  test('can be repeated, and needs no object (I12)', async () => {
    await append(oid, 0, 'bytes');
    await store.remove(oid);
    await store.remove(oid);
    await store.remove(otherOid);
    expect(await store.size(oid)).toBeUndefined();
  });

  test('what cannot be removed is refused', async () => {
    mkdirSync(pathOf(oid));
    await refusalOf(store.remove(oid));
    expect(existsSync(pathOf(oid))).toBe(true);
  });
});

describe('syncing', () => {
  test('an object that is there succeeds', async () => {
    await append(oid, 0, 'bytes');
    await store.sync(oid);
    expect(await contentOf(oid)).toBe('bytes');
  });

  test('an object that is not there is refused', async () => {
    expect(await refusalOf(store.sync(oid))).toMatchObject({ code: 'ENOENT' });
  });
});

describe('the store', () => {
  test('finds its objects when it is opened again', async () => {
    await append(oid, 0, 'bytes');
    store = await DirectoryBlobStore.open(directory);
    expect(await contentOf(oid)).toBe('bytes');
    await append(oid, 5, ' and more');
    expect(await contentOf(oid)).toBe('bytes and more');
  });

  test('has a place for every object from the beginning', () => {
    const places = Array.from({ length: 256 }, (_, shard) => shard.toString(16).padStart(2, '0'));
    expect(readdirSync(join(directory, 'objects')).sort()).toEqual(places);
  });

  test('is ready as long as its directory is there', async () => {
    expect(await store.isReady()).toBe(true);
    rmSync(join(directory, 'objects'), { recursive: true });
    expect(await store.isReady()).toBe(false);
  });
});
