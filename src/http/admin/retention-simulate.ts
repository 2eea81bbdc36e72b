import { z } from 'zod';
import { parseDuration } from '../../config/duration.ts';
import { causeName, reasonText } from '../../retention/reason.ts';
import type { PolicySetResult } from '../../retention/policy-set.ts';
import type { BrokenPulls } from '../../retention/simulate/replay.ts';
import type { SimulatedDay, SimulatedRepository, SimulationTotals } from '../../retention/simulate/simulation.ts';
import { errors, errorsOf, type Problem } from '../errors.ts';
import { type AdminCall, linesEndpoint, nothing, time, timeText } from './endpoint.ts';
import { progress, withPauses } from './lines.ts';

const dayMs = 86_400_000;
/** Days, or broken things, that one line has at most. */
const itemsPerLine = 50;

const count = z.number().int();
const bytes = z.number().int();
const dayName = z.iso.date();

const day = z.object({
  /** In UTC. */
  day: dayName,
  /** Tags and untagged manifests. */
  pruned: count,
  /** What would have been freed on that day that else would have stayed. */
  freedBytes: bytes,
  freedBlobs: count,
  /** At its end; without what is in the trash. */
  heldBytes: bytes,
  wouldHoldBytes: bytes,
});

const broken = z.object({
  repository: z.string(),
  policy: z.string(),
  /** What was pulled; by its digest where there is no tag. */
  tag: z.string().optional(),
  digest: z.string(),
  goneAt: time,
  /** The tag or digest that would have been pruned, if it is another: one that held what was pulled. */
  with: z.string().optional(),
  /** The name of the rule that decides, or in a word what else does. */
  rule: z.string(),
  reason: z.string(),
  pulls: count,
  days: z.array(z.object({ day: dayName, pulls: count })),
});

const line = z.union([
  z.object({ progress }),
  /** The first that is no progress. */
  z.object({
    simulation: z.object({
      madeAt: time,
      policyHash: z.string(),
      since: time,
      /** Since when something is remembered; it is replayed from there where it was asked for earlier. */
      rememberedSince: time.optional(),
    }),
  }),
  z.object({
    repository: z.object({
      repository: z.string(),
      policy: z.string(),
      prunedTags: count,
      prunedManifests: count,
      /** Would this repository be the only one. */
      freedBytes: bytes,
      brokenThings: count,
      brokenPulls: count,
    }),
  }),
  z.object({ days: z.array(day) }),
  /** The worst, those with most pulls first. */
  z.object({ broken: z.array(broken) }),
  /** The last line of a simulation that came to its end. */
  z.object({
    total: z.object({
      repositories: count,
      prunedTags: count,
      prunedManifests: count,
      freedBytes: bytes,
      freedBlobs: count,
      heldBytes: bytes,
      wouldHoldBytes: bytes,
      brokenThings: count,
      brokenPulls: count,
    }),
  }),
  errors,
]);

type Line = z.input<typeof line>;

export const simulateTheRetention = linesEndpoint({
  method: 'POST',
  path: '/retention/simulate',
  action: 'admin',
  summary:
    'What retention policies would have removed of what was pushed and pulled lately, what that would have freed by when, and which later pulls it would have broken. Nothing is removed. Answers in lines.',
  query: nothing,
  body: z.strictObject({
    /** A glob; all repositories that a policy is for where it is not given. */
    repository: z.string().optional(),
    /** As under `policies` in the configuration; those of the registry where they are not given. */
    policies: z.unknown().optional(),
    /** How far back, such as 30d. */
    since: z.string().default('90d'),
  }),
  line,
  handle: (call, { body }) => ({ lines: linesOf(call, body) }),
});

interface Asked {
  readonly repository?: string | undefined;
  readonly policies?: unknown;
  readonly since: string;
}

/** Retention is loaded for whoever asks for it. */
async function* linesOf({ registry, admin }: AdminCall, asked: Asked): AsyncGenerator<Line, void, undefined> {
  const [{ simulateRetention }, { rememberedSince }, { parsePolicySet }, { parseRepositoryGlob }] = await Promise.all([
    import('../../pruning/simulate.ts'),
    import('../../pruning/read-history.ts'),
    import('../../retention/policy-set.ts'),
    import('../../retention/pattern.ts'),
  ]);
  const policies = asked.policies === undefined ? await admin.policies() : parsePolicySet(asked.policies);
  if (policies?.ok !== true) return yield errorsOf(problemOf(policies));
  const glob = asked.repository === undefined ? undefined : parseRepositoryGlob(asked.repository);
  if (glob?.ok === false) return yield errorsOf(refused(`repository: ${glob.problem}`));
  const length = parseDuration(asked.since);
  if (!length.ok || length.ms <= 0) return yield errorsOf(refused('since: it takes a length of time such as 30d'));

  const now = registry.clock.now();
  const remembered = await rememberedSince(registry.metadata);
  const since = Math.max(now - length.ms, remembered ?? now);
  yield {
    simulation: {
      madeAt: timeText(now),
      policyHash: policies.set.hash,
      since: timeText(since),
      ...(remembered !== undefined && { rememberedSince: timeText(remembered) }),
    },
  };
  let latest: z.output<typeof progress> = { name: 'repositories', done: 0 };
  const simulation = simulateRetention(registry, {
    policies: policies.set,
    repositories: glob?.glob,
    since,
    now,
    onProgress: (come) => {
      latest = come;
    },
  });
  try {
    for (;;) {
      for await (const next of withPauses(simulation.next())) {
        if (next === undefined) yield { progress: latest };
        else if (next.done === true) return yield* linesOfTotals(next.value);
        else {
          yield { repository: shownRepository(next.value) };
          yield { progress: latest };
        }
      }
    }
  } finally {
    // What it comes to is of no interest to whoever has gone away.
    await simulation.return(nothingSimulated);
  }
}

const nothingSimulated: SimulationTotals = {
  repositories: 0,
  prunedTags: 0,
  prunedManifests: 0,
  freedBytes: 0,
  freedBlobs: 0,
  heldBytes: 0,
  wouldHoldBytes: 0,
  brokenThings: 0,
  brokenPulls: 0,
  days: [],
  worst: [],
};

function* linesOfTotals({ days, worst, ...total }: SimulationTotals): Generator<Line, void, undefined> {
  for (const some of partsOf(days)) yield { days: some.map(shownDay) };
  for (const some of partsOf(worst)) yield { broken: some.map(shownBroken) };
  yield { total };
}

function* partsOf<T>(list: readonly T[]): Generator<readonly T[], void, undefined> {
  for (let start = 0; start < list.length; start += itemsPerLine) yield list.slice(start, start + itemsPerLine);
}

function shownRepository({ repo, policy, ...figures }: SimulatedRepository) {
  return { repository: repo, policy: policy.name, ...figures };
}

function shownDay({ day: number, ...figures }: SimulatedDay): z.input<typeof day> {
  return { day: dayText(number), ...figures };
}

function shownBroken({ repo, policy, tag, digest, goneAt, pruning, pulls, days }: BrokenPulls): z.input<typeof broken> {
  const { verdict, at } = pruning;
  const pruned = verdict.item.kind === 'tag' ? verdict.item.name : verdict.item.digest;
  return {
    repository: repo,
    policy: policy.name,
    ...(tag !== undefined && { tag }),
    digest,
    goneAt: timeText(goneAt),
    ...(pruned !== (tag ?? digest) && { with: pruned }),
    rule: causeName(verdict.cause),
    reason: reasonText(policy, verdict, at),
    pulls,
    days: days.map((one) => ({ day: dayText(one.day), pulls: one.pulls })),
  };
}

function dayText(days: number): string {
  return timeText(days * dayMs).slice(0, 10);
}

function refused(message: string): Problem {
  return { code: 'UNSUPPORTED', status: 400, message };
}

function problemOf(policies: Exclude<PolicySetResult, { ok: true }> | undefined): Problem {
  return refused(
    policies === undefined
      ? 'the configuration has no policies: give some to simulate'
      : ['these policies are not accepted:', ...policies.problems].join('\n  '),
  );
}
