import { z } from 'zod';
import { Latencies } from './latencies.ts';

const example = z.object({ request: z.string(), expected: z.string(), got: z.string(), at: z.number() });

/** What a storm, or one process of it, has found; also the JSON that it writes. */
export const stormReport = z.object({
  seed: z.number(),
  seconds: z.number(),
  operations: z.array(
    z.object({
      kind: z.string(),
      count: z.number(),
      p50Ms: z.number(),
      p99Ms: z.number(),
      maxMs: z.number(),
      /** The latencies in steps of 4 %, to merge them with those of other processes. */
      steps: z.array(z.tuple([z.number(), z.number()])).readonly(),
    }),
  ),
  /** Images that were acknowledged and in the end, with no client's delete to blame, are not there whole. */
  lost: z.array(example),
  wrong: z.array(z.object({ what: z.string(), count: z.number(), examples: z.array(example).readonly() })),
  /** Requests that failed as they may while the registry is down. */
  unanswered: z.array(z.object({ at: z.number(), how: z.string() })),
  counts: z.object({
    pushesAcknowledged: z.number(),
    deletesAcknowledged: z.number(),
    deletesRefused: z.number(),
    imagesPulled: z.number(),
    imagesVerified: z.number(),
    pushesExpired: z.number(),
    sessionsLost: z.number(),
    breakingDeletes: z.number(),
    pushedBytes: z.number(),
    pulledBytes: z.number(),
  }),
});

export type StormReport = z.infer<typeof stormReport>;
type Operation = StormReport['operations'][number];

/** Whether the registry has passed. */
export function hasPassed({ lost, wrong }: StormReport): boolean {
  return lost.length === 0 && wrong.length === 0;
}

/** The operations of a report, from what was measured. */
export function operationsOf(latencies: ReadonlyMap<string, Latencies>): Operation[] {
  return [...latencies]
    .map(([kind, measured]) => ({
      kind,
      count: measured.count,
      p50Ms: measured.quantileMs(0.5),
      p99Ms: measured.quantileMs(0.99),
      maxMs: measured.maxMs,
      steps: [...measured.counts.steps].map(([step, count]): [number, number] => [step, count]),
    }))
    .toSorted((one, other) => one.kind.localeCompare(other.kind));
}

/** One report of what several processes have found at the same time. */
export function mergeReports(reports: readonly StormReport[]): StormReport {
  const [first] = reports;
  if (first === undefined) throw new Error('there is no report to merge');
  const latencies = new Map<string, Latencies>();
  for (const { kind, steps, maxMs } of reports.flatMap((report) => report.operations)) {
    const same = latencies.get(kind) ?? new Latencies();
    latencies.set(kind, same);
    same.merge({ steps, maxMs });
  }
  const wrong = Object.values(
    Object.groupBy(
      reports.flatMap((report) => report.wrong),
      ({ what }) => what,
    ),
  ).flatMap((same = []) => {
    const [one] = same;
    const count = same.reduce((sum, each) => sum + each.count, 0);
    return one === undefined ? [] : [{ what: one.what, count, examples: same.flatMap((each) => each.examples) }];
  });
  const sum = (name: keyof StormReport['counts']): number =>
    reports.reduce((total, { counts }) => total + counts[name], 0);
  return {
    seed: first.seed,
    seconds: Math.max(...reports.map(({ seconds }) => seconds)),
    operations: operationsOf(latencies),
    lost: reports.flatMap((report) => report.lost),
    wrong,
    unanswered: reports.flatMap((report) => report.unanswered),
    counts: {
      pushesAcknowledged: sum('pushesAcknowledged'),
      deletesAcknowledged: sum('deletesAcknowledged'),
      deletesRefused: sum('deletesRefused'),
      imagesPulled: sum('imagesPulled'),
      imagesVerified: sum('imagesVerified'),
      pushesExpired: sum('pushesExpired'),
      sessionsLost: sum('sessionsLost'),
      breakingDeletes: sum('breakingDeletes'),
      pushedBytes: sum('pushedBytes'),
      pulledBytes: sum('pulledBytes'),
    },
  };
}
