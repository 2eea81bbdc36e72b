import type { StorageBound } from '../config/storage-bound.ts';
import type { Admission, Incoming, NoRoom, Room } from '../registry/room.ts';
import { type DiskSpace, reserveBytesOf } from './levels.ts';

/** Measured anew when so large a share of what was free beyond the reserve has come in since. */
const soonShare = 1 / 8;

export interface UploadRoomParts {
  readonly reserve: StorageBound | undefined;
  /** Gives undefined where uploads do not come onto a disk of this machine. */
  readonly measure: () => Promise<DiskSpace | undefined>;
  /** Whether something is on its way out. */
  readonly isBeingMade: () => boolean;
  /** Is told of bytes that have come. */
  readonly onCome?: (bytes: number) => void;
}

/**
 * Refuses new uploads where less is free than is kept in reserve. The disk is not measured for each: the last
 * measurement counts, less what has come since and what requests under way have announced, so that many uploads at once
 * cannot go far below the reserve together. Before one is refused, the disk is measured again.
 */
export class UploadRoom implements Room {
  readonly #parts: UploadRoomParts;
  #disk: DiskSpace | undefined;
  #looking: Promise<void> | undefined;
  /** Bytes that have come since the last measurement began: it may have seen some of them. */
  #comeBytes = 0;
  /** Announced by requests under way, and not come yet. */
  #announcedBytes = 0;

  constructor(parts: UploadRoomParts) {
    this.#parts = parts;
  }

  /** Measures the disk now; one that cannot be measured is taken for what it was. */
  async look(): Promise<void> {
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined;
    });
    await this.#looking;
  }

  async #look(): Promise<void> {
    const before = this.#comeBytes;
    try {
      this.#disk = await this.#parts.measure();
      this.#comeBytes -= before;
    } catch {
      // Whoever needs the disk tells what is wrong with it.
    }
  }

  async admit(announcedBytes: number | undefined): Promise<Admission> {
    if (this.#disk === undefined || this.#noRoomFor(announcedBytes) !== undefined) await this.look();
    const noRoom = this.#noRoomFor(announcedBytes);
    return noRoom === undefined ? { incoming: this.expect(announcedBytes) } : { noRoom };
  }

  expect(announcedBytes: number | undefined): Incoming {
    // What is said to have more than is free will fail: nothing is held for it, and others are not refused because of it.
    let leftBytes = announcedBytes === undefined || announcedBytes > this.#freeBytes ? 0 : announcedBytes;
    this.#announcedBytes += leftBytes;
    return {
      received: (bytes) => {
        const expectedBytes = Math.min(bytes, leftBytes);
        leftBytes -= expectedBytes;
        this.#announcedBytes -= expectedBytes;
        this.#come(bytes);
      },
      end: () => {
        this.#announcedBytes -= leftBytes;
        leftBytes = 0;
      },
    };
  }

  #come(bytes: number): void {
    this.#comeBytes += bytes;
    this.#parts.onCome?.(bytes);
    if (this.#disk === undefined || this.#looking !== undefined) return;
    const beyondBytes = this.#disk.freeBytes - reserveBytesOf(this.#parts.reserve, this.#disk);
    if (beyondBytes > 0 && this.#comeBytes > beyondBytes * soonShare) void this.look();
  }

  /** As far as it is known. */
  get #freeBytes(): number {
    return (this.#disk?.freeBytes ?? Infinity) - this.#comeBytes;
  }

  #noRoomFor(announcedBytes = 0): NoRoom | undefined {
    const disk = this.#disk;
    if (disk === undefined) return undefined;
    const reserveBytes = reserveBytesOf(this.#parts.reserve, disk);
    const freeBytes = Math.max(0, this.#freeBytes - this.#announcedBytes);
    if (freeBytes - announcedBytes >= reserveBytes) return undefined;
    return { freeBytes, reserveBytes, isBeingMade: this.#parts.isBeingMade() };
  }
}
