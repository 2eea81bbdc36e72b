import type { StorageBound } from '../config/storage-bound.ts';
import { leavingBytes, type Stored, storedBytes } from '../registry/stored.ts';

/** The file system of the data directory, in bytes. */
export interface DiskSpace {
  /** What can still be written by this user. */
  readonly freeBytes: number;
  /** What has been written, by whomever. */
  readonly usedBytes: number;
  readonly totalBytes: number;
}

/** As set: `high` undefined where nothing goes before its time, `reserve` where it is to suit the file system. */
export interface Bounds {
  readonly high: StorageBound | undefined;
  readonly low: StorageBound | undefined;
  readonly reserve: StorageBound | undefined;
}

export interface Measured {
  readonly disk: DiskSpace;
  readonly stored: Stored;
  /** Of the database's files. */
  readonly databaseBytes: number;
}

/** The bounds in bytes, and what stands against them. */
export interface Levels {
  /** What `high` and `low` bound: all that is on the file system where they are percentages, else the registry's own. */
  readonly usedBytes: number;
  readonly highBytes: number | undefined;
  readonly lowBytes: number | undefined;
  readonly freeBytes: number;
  /** On the file system, by whomever. */
  readonly usedOnDiskBytes: number;
  readonly reserveBytes: number;
  /** Of the registry's own bytes, those that go by themselves within `windows.condemned`. */
  readonly leavingBytes: number;
  /** The most that the registry could give back. */
  readonly blobBytes: number;
}

/** What is kept in reserve where nobody has said: this share of the file system, and no more than so many bytes. */
const autoReserve = { share: 0.01, mostBytes: 1024 ** 3 };

export function levelsOf({ disk, stored, databaseBytes }: Measured, { high, low, reserve }: Bounds): Levels {
  const blobBytes = storedBytes(stored);
  const isOfDisk = high?.unit !== 'bytes';
  return {
    usedBytes: isOfDisk ? disk.usedBytes : blobBytes + databaseBytes,
    highBytes: high && bytesOf(high, disk),
    lowBytes: low && bytesOf(low, disk),
    freeBytes: disk.freeBytes,
    usedOnDiskBytes: disk.usedBytes,
    reserveBytes: reserveBytesOf(reserve, disk),
    leavingBytes: leavingBytes(stored),
    blobBytes,
  };
}

export function reserveBytesOf(reserve: StorageBound | undefined, disk: DiskSpace): number {
  if (reserve !== undefined) return bytesOf(reserve, disk);
  return Math.floor(Math.min(capacityOf(disk) * autoReserve.share, autoReserve.mostBytes));
}

function bytesOf(bound: StorageBound, disk: DiskSpace): number {
  return bound.unit === 'bytes' ? bound.sizeBytes : Math.floor((capacityOf(disk) * bound.percent) / 100);
}

/** As `df` counts: without what only root may write. */
function capacityOf({ usedBytes, freeBytes }: DiskSpace): number {
  return usedBytes + freeBytes;
}
