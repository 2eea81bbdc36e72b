import { z } from 'zod';
import { collectorPause, dueReviews, pauseCollector, resumeCollector } from '../../registry/collector-pause.ts';
import { type AdminCall, type CollectorControl, endpoint, nothing, reasonText, time, timeText } from './endpoint.ts';

const status = z.object({
  /** No server runs where a command has opened the stores by itself: nothing is collected meanwhile. */
  state: z.enum(['running', 'elsewhere', 'paused', 'database-outdated', 'no-server']),
  paused: z.object({ reason: z.string(), pausedBy: z.string(), pausedAt: time }).optional(),
  dueReviews: z.number().int(),
  oldestDueMs: z.number(),
  nextDueAt: time.optional(),
});

export const collectorStatus = endpoint({
  method: 'GET',
  path: '/collector',
  action: 'admin',
  summary: 'Whether the collector works, and how far it is behind.',
  query: nothing,
  body: nothing,
  answer: status,
  handle: async (call) => ({ answer: await statusOf(call) }),
});

export const pauseTheCollector = endpoint({
  method: 'POST',
  path: '/collector/pause',
  action: 'admin',
  summary: 'Stops collecting, also over a restart, until it is resumed.',
  query: nothing,
  body: z.strictObject({ reason: reasonText() }),
  answer: status,
  async handle(call, { body }) {
    await pauseCollector(call.registry, { reason: body.reason, actor: call.actor() });
    call.admin.collector?.pause();
    return { answer: await statusOf(call) };
  },
});

export const resumeTheCollector = endpoint({
  method: 'POST',
  path: '/collector/resume',
  action: 'admin',
  summary: 'Goes on collecting.',
  query: nothing,
  body: nothing,
  answer: status,
  async handle(call) {
    await resumeCollector(call.registry, call.actor());
    call.admin.collector?.resume();
    return { answer: await statusOf(call) };
  },
});

async function statusOf({ registry, admin }: AdminCall): Promise<z.input<typeof status>> {
  const [pause, due] = [await collectorPause(registry), await dueReviews(registry)];
  return {
    state: stateOf(admin.collector, pause !== undefined),
    ...(pause && { paused: { ...pause, pausedAt: timeText(pause.pausedAt) } }),
    dueReviews: due.count,
    oldestDueMs: due.oldestDueMs,
    ...(due.nextDueAt !== undefined && { nextDueAt: timeText(due.nextDueAt) }),
  };
}

function stateOf(collector: CollectorControl | undefined, isToPause: boolean): z.input<typeof status>['state'] {
  if (collector === undefined) return 'no-server';
  if (collector.isDatabaseOutdated) return 'database-outdated';
  // Where several processes collect, whichever of them was told wrote it down for all.
  if (collector.isPaused || isToPause) return 'paused';
  return collector.isRun ? 'running' : 'elsewhere';
}
