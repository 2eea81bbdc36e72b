import type { Measured } from './levels.ts';
import type { StorageReport } from './report.ts';
import type { Storage } from './storage.ts';

/** How storage stands, for the metrics: in bytes where the name does not say otherwise; NaN where it is not known, or not bounded. */
export interface StorageFigures {
  readonly storageUsedBytes: number;
  readonly storageHighBytes: number;
  readonly storageLowBytes: number;
  readonly storageReserveBytes: number;
  /** 1 where it is, else 0. */
  readonly storageOverHigh: number;
  readonly storageUnderReserve: number;
  readonly storageStuck: number;
  readonly uploadBytes: number;
  readonly condemnedBytes: number;
  readonly deadBytes: number;
  readonly sharedSavedBytes: number;
  readonly trashBytes: number;
  readonly trashEntries: number;
  readonly freedWithinHourBytes: number;
  readonly freedWithinDayBytes: number;
  readonly highInSeconds: number;
  readonly fullInSeconds: number;
}

/** @param report of some minutes ago, for what takes a walk through everything */
export function storageFigures(
  measured: Measured,
  storage: Storage,
  report: StorageReport | undefined,
): StorageFigures {
  const levels = storage.levelsOf(measured);
  const { overHighSince, underReserveSince, stuck } = storage.maker.state;
  const forecast = report?.forecast.day ?? report?.forecast.week;
  return {
    storageUsedBytes: levels.usedBytes,
    storageHighBytes: levels.highBytes ?? Number.NaN,
    storageLowBytes: levels.lowBytes ?? Number.NaN,
    storageReserveBytes: levels.reserveBytes,
    storageOverHigh: overHighSince === undefined ? 0 : 1,
    storageUnderReserve: underReserveSince === undefined ? 0 : 1,
    storageStuck: stuck === undefined ? 0 : 1,
    uploadBytes: measured.stored.pending.bytes,
    condemnedBytes: measured.stored.condemned.bytes,
    deadBytes: measured.stored.dead.bytes,
    sharedSavedBytes: report?.shared.savedBytes ?? Number.NaN,
    trashBytes: report?.trash.bytes ?? Number.NaN,
    trashEntries: report === undefined ? Number.NaN : report.trash.manifests + report.trash.tags,
    freedWithinHourBytes: report?.outlook.withinHourBytes ?? Number.NaN,
    freedWithinDayBytes: report?.outlook.withinDayBytes ?? Number.NaN,
    highInSeconds: forecast === undefined ? Number.NaN : secondsOf(forecast.highInMs),
    fullInSeconds: forecast === undefined ? Number.NaN : secondsOf(forecast.reserveInMs),
  };
}

/** What is never reached at the present rate is infinitely far away. */
function secondsOf(ms: number | undefined): number {
  return ms === undefined ? Infinity : ms / 1000;
}
