import { expect, test } from 'bun:test';
import type { NoRoom } from '../registry/room.ts';
import { UploadRoom } from './upload-room.ts';

const mib = 1024 * 1024;

/** A disk of 100 MiB, of which 10 MiB are to stay free. */
class SmallRoom {
  freeMib: number;
  isAway = false;
  looks = 0;
  readonly room = new UploadRoom({
    reserve: { unit: 'bytes', sizeBytes: 10 * mib },
    measure: async () => {
      this.looks++;
      if (this.isAway) throw new Error('away');
      return { freeBytes: this.freeMib * mib, usedBytes: (100 - this.freeMib) * mib, totalBytes: 100 * mib };
    },
    isBeingMade: () => true,
  });

  constructor(freeMib: number) {
    this.freeMib = freeMib;
  }

  async refusal(announcedMib?: number): Promise<NoRoom | undefined> {
    const admission = await this.room.admit(announcedMib === undefined ? undefined : announcedMib * mib);
    return 'noRoom' in admission ? admission.noRoom : undefined;
  }
}

test('an upload is refused where less is free than is kept in reserve, and told how much', async () => {
  const disk = new SmallRoom(9);
  expect(await disk.refusal()).toEqual({ freeBytes: 9 * mib, reserveBytes: 10 * mib, isBeingMade: true });
  disk.freeMib = 10;
  expect(await disk.refusal()).toBeUndefined();
});

test('an upload is refused whose announced bytes would leave less than the reserve', async () => {
  const disk = new SmallRoom(20);
  expect(await disk.refusal(10)).toBeUndefined();
  expect(await disk.refusal(1)).toMatchObject({ freeBytes: 10 * mib });
});

test('what requests under way have announced counts until it has come, or they have ended', async () => {
  const disk = new SmallRoom(20);
  const first = disk.room.expect(6 * mib);
  await disk.room.look();
  expect(await disk.refusal(5)).toMatchObject({ freeBytes: 14 * mib });
  first.received(6 * mib);
  expect(await disk.refusal(5)).toBeUndefined();
});

test('an announcement that can never come true does not keep others out', async () => {
  const disk = new SmallRoom(50);
  await disk.room.look();
  const impossible = disk.room.expect(Number.MAX_SAFE_INTEGER);
  expect(await disk.refusal(30)).toBeUndefined();
  impossible.end();
  expect(await disk.refusal(11)).toMatchObject({ freeBytes: 20 * mib });
});

test('bytes that come without having been announced count until the disk is measured again', async () => {
  const disk = new SmallRoom(100);
  await disk.room.look();
  disk.freeMib = 10.5;
  const stream = disk.room.expect(undefined);
  const looks = disk.looks;
  stream.received(10 * mib);
  expect(disk.looks).toBe(looks);
  // More than an eighth of what is free beyond the reserve.
  stream.received(2 * mib);
  expect(disk.looks).toBe(looks + 1);
  await disk.room.look();
  expect(await disk.refusal(1)).toMatchObject({ freeBytes: 10.5 * mib });
  stream.end();
  stream.end();
  expect(await disk.refusal()).toBeUndefined();
});

test('a disk that cannot be measured is taken for what it was, and refuses nothing where it never was', async () => {
  const disk = new SmallRoom(5);
  disk.isAway = true;
  expect(await disk.refusal()).toBeUndefined();
  disk.isAway = false;
  await disk.room.look();
  disk.isAway = true;
  expect(await disk.refusal()).toMatchObject({ freeBytes: 5 * mib });
});
