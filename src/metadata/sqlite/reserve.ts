import { randomBytes } from 'node:crypto';
import { rmSync, statSync, unlinkSync } from 'node:fs';
import { open, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** What some thousand deletes, or the move of the log into the database file, take on a full disk. */
const reserveBytes = 8 * 1024 * 1024;
/** How much must stay free beyond the reserve, so that making it never fills the disk. */
const marginBytes = 2 * 1024 * 1024;
const pieceBytes = 1024 * 1024;
/** How often it is looked whether a reserve that was given up can be made again, in ms. */
const lookEveryMs = 60_000;

const fullDiskCodes = new Set<unknown>(['ENOSPC', 'EDQUOT', 'EFBIG']);

export interface ReserveParts {
  /** How many bytes the disk has left, for this user. */
  readonly freeBytes?: () => Promise<number>;
  /** The disk is full, and the reserve has just been given up. */
  readonly onReleased?: () => void;
  /** It could not be made, for another reason than a full disk. */
  readonly onProblem?: (error: unknown) => void;
}

/**
 * Room kept for when the disk is full (R38): what makes room, such as a delete, needs some itself to be committed. It is
 * a file named `reserve` in the data directory, of bytes that no file system can leave out or make smaller. It is given
 * up when a commit that is worth it meets a full disk, and made again once there is room.
 */
export class Reserve {
  readonly #path: string;
  readonly #parts: ReserveParts;
  readonly #freeBytes: () => Promise<number>;
  #making: Promise<void> | undefined;
  /** Counts how often it was given up, so that a reserve in the making notices. */
  #releases = 0;
  #timer: ReturnType<typeof setInterval> | undefined;

  constructor(directory: string, parts: ReserveParts = {}) {
    this.#path = join(directory, 'reserve');
    this.#parts = parts;
    this.#freeBytes = parts.freeBytes ?? (() => freeBytesOf(directory));
  }

  /** Makes it now, in the background, and again whenever it has been given up and there is room. */
  start(): void {
    void this.#makeQuietly();
    this.#timer = setInterval(() => void this.#makeQuietly(), lookEveryMs);
    this.#timer.unref();
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#making?.catch(() => undefined);
  }

  /** Makes it where it is not there and the disk has room for it. */
  async make(): Promise<void> {
    this.#making ??= this.#make().finally(() => {
      this.#making = undefined;
    });
    await this.#making;
  }

  /** Gives it up, at once. @returns whether that has made room */
  release(): boolean {
    this.#releases++;
    const sizeBytes = this.#sizeBytes();
    try {
      unlinkSync(this.#path);
    } catch {
      return false;
    }
    this.#parts.onReleased?.();
    return sizeBytes > 0;
  }

  async #makeQuietly(): Promise<void> {
    try {
      await this.make();
    } catch (error) {
      this.#parts.onProblem?.(error);
    }
  }

  async #make(): Promise<void> {
    if (this.#sizeBytes() >= reserveBytes) return;
    const releases = this.#releases;
    if ((await this.#freeBytes()) < reserveBytes + marginBytes) return;
    try {
      await using file = await open(this.#path, 'w', 0o640);
      for (let left = reserveBytes; left > 0 && this.#releases === releases; left -= pieceBytes) {
        await file.writeFile(await random(pieceBytes));
      }
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && fullDiskCodes.has(error.code))) throw error;
      rmSync(this.#path, { force: true });
    }
  }

  #sizeBytes(): number {
    return statSync(this.#path, { throwIfNoEntry: false })?.size ?? 0;
  }
}

const random = promisify(randomBytes);

async function freeBytesOf(directory: string): Promise<number> {
  const { bavail, bsize } = await statfs(directory);
  return bavail * bsize;
}
