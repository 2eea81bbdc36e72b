import { z } from 'zod';
import { type Forecast, stateOf, type StorageReport } from '../../bounds/report.ts';
import { collectorPause } from '../../registry/collector-pause.ts';
import { sharingProcesses, type SharingProcess } from '../../registry/processes.ts';
import { endpoint, nothing, time, timeText } from './endpoint.ts';

const bytes = z.number().int();
const objects = z.object({ objects: z.number().int(), bytes });

const forecast = z.object({
  bytesPerDay: z.number(),
  /** Left out where it is not reached at this rate. */
  highAt: time.optional(),
  reserveAt: time.optional(),
});

const status = z.object({
  state: z.enum(['within-bounds', 'making-room', 'stuck', 'others-fill-the-disk', 'under-reserve']),
  disk: z.object({ totalBytes: bytes, usedBytes: bytes, freeBytes: bytes }),
  bounds: z.object({
    /** What high and low bound: what is used of the disk, or stored by the registry. */
    usedBytes: bytes,
    highBytes: bytes.optional(),
    lowBytes: bytes.optional(),
    reserveBytes: bytes,
    overHighSince: time.optional(),
    underReserveSince: time.optional(),
    /** Why no more room can be made. */
    stuck: z.string().optional(),
    made: z
      .object({
        trashedManifests: z.number().int(),
        trashedTags: z.number().int(),
        prunedTags: z.number().int(),
        prunedManifests: z.number().int(),
        bytes,
      })
      .optional(),
  }),
  stored: z.object({
    held: objects,
    /** Of what is held, what more than one repository links, counted once; and what it would take beside that if they shared nothing. */
    shared: z.object({ bytes, savedBytes: bytes }),
    uploads: objects,
    garbage: z.object({
      condemned: objects,
      dead: objects,
      forAnHourBytes: bytes,
      forADayBytes: bytes,
      forLongerBytes: bytes,
    }),
    databaseBytes: bytes,
  }),
  /** What emptying it would free at most. Part of what is held. */
  trash: z.object({ manifests: z.number().int(), tags: z.number().int(), bytes, isPartial: z.boolean() }),
  /** At most. */
  freed: z.object({ withinHourBytes: bytes, withinDayBytes: bytes, isPartial: z.boolean() }),
  forecast: z.object({ day: forecast.optional(), week: forecast.optional() }),
  /** Those that share a PostgreSQL database; none with SQLite. What one of an earlier version does not say is left out. */
  processes: z.array(
    z.object({
      id: z.string(),
      /** Its number, and the name of its machine. */
      name: z.string(),
      version: z.string().optional(),
      /** The number of the newest migration that it knows. */
      schema: z.number().int().optional(),
      /** Whether it is configured to collect (`collector.run`); it does not while the collector is paused. */
      isCollecting: z.boolean().optional(),
      since: time.optional(),
      lastHeardAt: time.optional(),
    }),
  ),
  /** An operator has paused the collector: nothing is collected or pruned. */
  collectorPaused: z.object({ reason: z.string(), pausedBy: z.string(), pausedAt: time }).optional(),
  events: z.array(z.object({ at: time, kind: z.string(), reason: z.string().optional(), bytes: bytes.optional() })),
});

export const storageStatus = endpoint({
  method: 'GET',
  path: '/status',
  action: 'admin',
  summary: 'How the disk and what is stored stand against their bounds, what is to come, and which processes serve.',
  query: nothing,
  body: nothing,
  answer: status,
  isLong: true,
  async handle(call, _, onProgress) {
    call.allowSlowAnswer();
    const report = await call.admin.storage(onProgress);
    const processes = await sharingProcesses(call.registry.metadata);
    const pause = await collectorPause(call.registry);
    return {
      answer: {
        ...answerOf(report, call.registry.clock.now()),
        processes: processes.map(toldProcess),
        ...(pause && { collectorPaused: { ...pause, pausedAt: timeText(pause.pausedAt) } }),
      },
    };
  },
});

function answerOf(report: StorageReport, now: number): Omit<z.input<typeof status>, 'processes' | 'collectorPaused'> {
  const { disk, levels, room, stored, shared, garbage, databaseBytes, trash, outlook } = report;
  const { usedBytes, highBytes, lowBytes, reserveBytes } = levels;
  const { day, week } = report.forecast;
  return {
    state: stateOf(levels, room),
    disk,
    bounds: {
      usedBytes,
      reserveBytes,
      ...(highBytes !== undefined && { highBytes }),
      ...(lowBytes !== undefined && { lowBytes }),
      ...(room.overHighSince !== undefined && { overHighSince: timeText(room.overHighSince) }),
      ...(room.underReserveSince !== undefined && { underReserveSince: timeText(room.underReserveSince) }),
      ...(room.stuck !== undefined && { stuck: room.stuck }),
      ...(room.made !== undefined && { made: room.made }),
    },
    stored: {
      held: stored.live,
      shared,
      uploads: stored.pending,
      garbage: { condemned: stored.condemned, dead: stored.dead, ...garbage },
      databaseBytes,
    },
    trash,
    freed: outlook,
    forecast: { ...(day && { day: told(day, now) }), ...(week && { week: told(week, now) }) },
    events: report.events.map(({ at, kind, reason, bytes: howMany }) => ({
      at: timeText(at),
      kind,
      ...(reason !== null && { reason }),
      ...(howMany !== null && { bytes: howMany }),
    })),
  };
}

function toldProcess({ since, heardAt, ...one }: SharingProcess): z.input<typeof status>['processes'][number] {
  return {
    ...one,
    ...(since !== undefined && { since: timeText(since) }),
    ...(heardAt !== undefined && { lastHeardAt: timeText(heardAt) }),
  };
}

/** A time further away than this is no forecast: what is told ends before the calendar does. */
const furthestMs = 100 * 365 * 24 * 3_600_000;

function told({ bytesPerDay, highInMs, reserveInMs }: Forecast, now: number): z.input<typeof forecast> {
  const at = (inMs: number | undefined) => (inMs === undefined || inMs > furthestMs ? undefined : timeText(now + inMs));
  const [highAt, reserveAt] = [at(highInMs), at(reserveInMs)];
  return { bytesPerDay, ...(highAt && { highAt }), ...(reserveAt && { reserveAt }) };
}
