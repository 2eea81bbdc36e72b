import { beforeEach, describe, expect, test } from 'bun:test';
import { createHash, randomBytes } from 'node:crypto';
import { BlobMissingError, type BlobStore, type ObjectId, type WriterEnd } from '../../src/blobs/store.ts';
import { refusalOf } from '../pairs/refusal.ts';
import { Upload } from './upload.ts';

const mebibyte = 1024 * 1024;

/** A store that is tried, and a second one over the same bytes, as another process has it. */
export interface TriedStores {
  readonly store: BlobStore;
  readonly other: BlobStore;
}

/** What is asked of every form of blob store. `open` is called before each test, and gives an empty one. */
export function describeBlobStore(open: () => Promise<TriedStores>): void {
  let store: BlobStore;
  let other: BlobStore;
  let oids = 0;

  beforeEach(async () => {
    ({ store, other } = await open());
  });

  function newOid(): ObjectId {
    return (++oids).toString(16).padStart(32, 'ab0123456789abcdef0123456789abcd');
  }

  function newUpload(): Upload {
    return new Upload(store, newOid());
  }

  async function contentOf(oid: ObjectId): Promise<Buffer> {
    return Buffer.from(await store.read(oid).bytes());
  }

  /** Puts a whole object. */
  async function put(bytes: Uint8Array | string): Promise<ObjectId> {
    const upload = newUpload();
    await upload.append(bytes, 'perhaps-final');
    await upload.sync();
    return upload.oid;
  }

  describe('an upload', () => {
    test.each([0, 1, 64 * 1024, 5 * mebibyte, 8 * mebibyte, 13 * mebibyte, 13 * mebibyte + 1, 30 * mebibyte + 7])(
      'of %i bytes in one go becomes an object of them',
      async (sizeBytes) => {
        const bytes = randomBytes(sizeBytes);
        const oid = await put(bytes);
        expect(await store.size(oid)).toBe(sizeBytes);
        expect((await contentOf(oid)).equals(bytes)).toBe(true);
      },
    );

    test.each([0, 3, 14 * mebibyte])('of %i bytes that are known to be all becomes an object', async (sizeBytes) => {
      const bytes = randomBytes(sizeBytes);
      const upload = newUpload();
      const writer = await upload.writer();
      await writer.write(bytes);
      const claim = { epoch: writer.epoch, progress: await writer.close('final') };
      await store.sync(upload.oid, claim);
      expect((await contentOf(upload.oid)).equals(bytes)).toBe(true);
    });

    const ends: readonly WriterEnd[] = ['more', 'perhaps-final'];
    const sizes = [1, 1000, 5 * mebibyte - 1, 5 * mebibyte, 9 * mebibyte, 14 * mebibyte];
    test.each(ends.flatMap((end) => sizes.map((size) => [end, size] as const)))(
      'goes on after each request in whichever process (%s, first of %i bytes)',
      async (end, firstBytes) => {
        const pieces = [firstBytes, 10, 2 * mebibyte, 4 * mebibyte, 1, 20 * mebibyte, 3].map((size) =>
          randomBytes(size),
        );
        const upload = newUpload();
        for (const [index, piece] of pieces.entries()) await upload.append(piece, end, index % 2 === 0 ? store : other);
        await upload.sync(other);
        expect(sha256(await contentOf(upload.oid))).toBe(sha256(Buffer.concat(pieces)));
      },
    );

    test('of many small requests keeps each byte in its place', async () => {
      const upload = newUpload();
      const pieces = Array.from({ length: 40 }, (_, index) => randomBytes(1 + ((index * 7919) % 300_000)));
      for (const piece of pieces) await upload.append(piece, 'more');
      await upload.sync();
      expect(sha256(await contentOf(upload.oid))).toBe(sha256(Buffer.concat(pieces)));
    });

    test('begins anew at 0', async () => {
      const upload = newUpload();
      await upload.append('what was there before', 'perhaps-final');
      upload.restart();
      await upload.append('anew', 'perhaps-final');
      await upload.sync();
      expect((await contentOf(upload.oid)).toString()).toBe('anew');
    });

    test('begins anew with other bytes, many or few, whatever came before', async () => {
      for (const [before, after] of [
        [20 * mebibyte, 3],
        [3, 20 * mebibyte],
        [20 * mebibyte, 20 * mebibyte],
      ] as const) {
        const upload = newUpload();
        await upload.append(randomBytes(before), 'perhaps-final');
        upload.restart();
        const bytes = randomBytes(after);
        await upload.append(bytes, 'perhaps-final');
        await upload.sync();
        expect(sha256(await contentOf(upload.oid))).toBe(sha256(bytes));
      }
    });

    test('goes on from what was written down, not from what a refused request has left', async () => {
      const upload = newUpload();
      await upload.append(randomBytes(14 * mebibyte), 'more');
      const first = upload.offsetBytes;
      for (const size of [3, 14 * mebibyte]) {
        const refused = await upload.writer();
        await refused.write(randomBytes(size));
        await refused.close('dropped');
        expect(await store.cutBack(upload.oid, upload.offsetBytes)).toBe(first);
      }
      await upload.append('the rest', 'more');
      await upload.sync();
      expect((await contentOf(upload.oid)).subarray(first).toString()).toBe('the rest');
    });

    test('can be published again, as after a lost answer', async () => {
      for (const size of [0, 3, 20 * mebibyte]) {
        const bytes = randomBytes(size);
        const upload = newUpload();
        await upload.append(bytes, 'more');
        await upload.sync();
        await upload.sync(other);
        expect((await contentOf(upload.oid)).equals(bytes)).toBe(true);
      }
    });

    test('two at once mix nothing', async () => {
      const uploads = [newUpload(), newUpload()];
      const pieces = uploads.map(() => randomBytes(100_000));
      const writers = await Promise.all(uploads.map((upload) => upload.writer()));
      for (let round = 0; round < 200; round++) {
        for (const [index, writer] of writers.entries()) await writer.write(pieces[index] ?? '');
      }
      for (const [index, upload] of uploads.entries()) {
        const writer = writers[index];
        if (writer !== undefined) await upload.record(writer, 'perhaps-final');
        await upload.sync();
        const piece = pieces[index] ?? Buffer.alloc(0);
        expect(sha256(await contentOf(upload.oid))).toBe(sha256(Buffer.concat(Array(200).fill(piece))));
      }
    });

    test('of which fewer bytes are there than its row says is refused', async () => {
      const upload = newUpload();
      await upload.append('short', 'more');
      const refusal = await refusalOf(store.append(upload.oid, 6, upload.claim()));
      expect(refusal).toBeInstanceOf(BlobMissingError);
    });
  });

  describe('reading', () => {
    test.each([
      [{ first: 0, last: 0 }, '0'],
      [{ first: 0, last: 9 }, '0123456789'],
      [{ first: 3, last: 5 }, '345'],
      [{ first: 9, last: 9 }, '9'],
    ])('the range %o gives both of its ends and what is between them', async (range, expected) => {
      const oid = await put('0123456789');
      expect(Buffer.from(await store.read(oid, range).bytes()).toString()).toBe(expected);
      expect(Buffer.from(await store.read(oid, range).arrayBuffer()).toString()).toBe(expected);
      expect(await new Response(store.read(oid, range).stream()).text()).toBe(expected);
      expect(await new Response(await store.open(oid, 10, range)).text()).toBe(expected);
    });

    test('what is to be sent gives all of it', async () => {
      const bytes = randomBytes(3 * mebibyte);
      const oid = await put(bytes);
      expect(sha256(Buffer.from(await new Response(await store.open(oid, bytes.byteLength)).bytes()))).toBe(
        sha256(bytes),
      );
    });

    test('what is not there is refused as missing (R46)', async () => {
      const oid = newOid();
      expect(await refusalOf(store.read(oid).bytes())).toMatchObject({ code: 'ENOENT' });
      expect(await refusalOf(store.read(oid, { first: 1, last: 2 }).arrayBuffer())).toMatchObject({ code: 'ENOENT' });
      expect(await refusalOf(new Response(store.read(oid).stream()).bytes())).toMatchObject({ code: 'ENOENT' });
    });

    test('goes on when the object is removed meanwhile, or ends with an error, never early', async () => {
      const bytes = randomBytes(20 * mebibyte);
      const oid = await put(bytes);
      const received: Uint8Array[] = [];
      try {
        for await (const chunk of store.read(oid).stream()) {
          if (received.length === 0) await store.remove(oid);
          received.push(chunk);
        }
        expect(Buffer.concat(received).equals(bytes)).toBe(true);
      } catch {
        expect(Buffer.concat(received).equals(bytes)).toBe(false);
      }
      expect(await store.size(oid)).toBeUndefined();
    }, 180_000);
  });

  describe('removing', () => {
    test('takes the object away, and no other', async () => {
      const [oid, neighbour] = [await put('bytes'), await put('neighbour')];
      await store.remove(oid);
      expect(await store.size(oid)).toBeUndefined();
      expect((await contentOf(neighbour)).toString()).toBe('neighbour');
    });

    test('can be repeated, and needs no object (I12)', async () => {
      const oid = await put('bytes');
      await store.remove(oid);
      await store.remove(oid);
      await store.remove(newOid());
      expect(await store.size(oid)).toBeUndefined();
    });

    test('takes an upload away that is under way, and nothing comes of it any more', async () => {
      for (const size of [3, 6 * mebibyte, 20 * mebibyte]) {
        const upload = newUpload();
        await upload.append(randomBytes(size), 'more');
        await store.remove(upload.oid);
        expect(await refusalOf(upload.sync())).toBeInstanceOf(Error);
        expect(await store.size(upload.oid)).toBeUndefined();
      }
    });
  });

  describe('the store', () => {
    test('keeps a number', async () => {
      expect(await store.generation()).toBeUndefined();
      await store.setGeneration(7);
      await store.setGeneration(12);
      expect(await other.generation()).toBe(12);
      await other.setGeneration(11);
      expect(await store.generation()).toBe(12);
    });

    test('keeps the ids of registries', async () => {
      expect(await store.registries()).toEqual([]);
      const [one, two] = ['1'.repeat(32), '2'.repeat(32)];
      for (const id of [one, two, one]) await store.leaveRegistry(id);
      expect((await other.registries()).toSorted()).toEqual([one, two]);
    });

    test('is ready', async () => {
      expect(await store.isReady()).toBe(true);
    });

    test('shreds nothing that is not there, and makes none', async () => {
      const oid = newOid();
      expect((await store.shred(oid)).outcome).toBe('gone');
      expect(await store.size(oid)).toBeUndefined();
    });

    test('has put nothing aside', async () => {
      expect(await store.quarantinedCount()).toBe(0);
      expect(await store.isQuarantined(newOid())).toBe(false);
      await store.removeQuarantined(newOid());
    });
  });
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
