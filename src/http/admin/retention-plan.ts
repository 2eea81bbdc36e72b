import { z } from 'zod';
import type { PlannedRemoval, RepositoryPlan } from '../../pruning/plan.ts';
import type { Verdict } from '../../retention/evaluate.ts';
import { usedAt } from '../../retention/facts.ts';
import type { PolicySetResult } from '../../retention/policy-set.ts';
import { errors, errorsOf, type Problem } from '../errors.ts';
import { type AdminCall, linesEndpoint, nothing, time, timeText } from './endpoint.ts';
import { progress, withPauses } from './lines.ts';

/** Items that one line has at most. */
const itemsPerLine = 100;

const count = z.number().int();
const bytes = z.number().int();

const item = z.object({
  repository: z.string(),
  /** Of an untagged manifest there is none. */
  tag: z.string().optional(),
  digest: z.string(),
  /** `waits`: it goes too, but the rails of the policy let it go on another day only. */
  outcome: z.enum(['goes', 'waits', 'stays']),
  /** The name of the rule that decides, or in a word what else does. */
  rule: z.string(),
  reason: z.string(),
  /** The times that it is judged by; what is missing is not known, or never was. */
  pushedAt: time.optional(),
  taggedAt: time.optional(),
  pulledAt: time.optional(),
  untaggedAt: time.optional(),
  /** When it was last of use. */
  usedAt: time.optional(),
  /** The earliest time at which the outcome may change by time alone. */
  changesAt: time.optional(),
  /** What its going frees after all before it in the list have gone. */
  freesBytes: bytes.optional(),
  freesBlobs: count.optional(),
});

const sums = z.object({
  goingTags: count,
  goingManifests: count,
  freesBytes: bytes,
  freesBlobs: count,
  waitingTags: count,
  waitingManifests: count,
  stayingTags: count,
  stayingManifests: count,
});

const line = z.union([
  z.object({ progress }),
  /** The first that is no progress. */
  z.object({ plan: z.object({ madeAt: time, policyHash: z.string() }) }),
  z.object({ items: z.array(item) }),
  /** After the items of a repository. */
  z.object({
    repository: z.object({ repository: z.string(), policy: z.string(), mayPruneLastTag: z.boolean(), ...sums.shape }),
  }),
  /** The last line of a plan that came to its end. */
  z.object({ total: z.object({ repositories: count, ...sums.shape }) }),
  errors,
]);

type Line = z.input<typeof line>;
type Item = z.input<typeof item>;
type Sums = z.input<typeof sums>;

export const planTheRetention = linesEndpoint({
  method: 'POST',
  path: '/retention/plan',
  action: 'admin',
  summary:
    'What retention policies would remove now and why, in the order in which it would go, and what that would free. Nothing is removed. Answers in lines.',
  query: nothing,
  body: z.strictObject({
    /** A glob; all repositories that a policy is for where it is not given. */
    repository: z.string().optional(),
    /** As under `policies` in the configuration; those of the registry where they are not given. */
    policies: z.unknown().optional(),
    /** Also what stays, and why. */
    all: z.boolean().default(false),
  }),
  line,
  handle: (call, { body }) => ({ lines: linesOf(call, body) }),
});

interface Asked {
  readonly repository?: string | undefined;
  readonly policies?: unknown;
  readonly all: boolean;
}

/** Retention is loaded for whoever asks for it. */
async function* linesOf({ registry, admin }: AdminCall, asked: Asked): AsyncGenerator<Line, void, undefined> {
  const [{ planRetention }, { parsePolicySet }, { parseRepositoryGlob }, words] = await Promise.all([
    import('../../pruning/plan.ts'),
    import('../../retention/policy-set.ts'),
    import('../../retention/pattern.ts'),
    import('../../retention/reason.ts'),
  ]);
  const policies = asked.policies === undefined ? await admin.policies() : parsePolicySet(asked.policies);
  if (policies?.ok !== true) return yield errorsOf(problemOf(policies));
  const glob = asked.repository === undefined ? undefined : parseRepositoryGlob(asked.repository);
  if (glob?.ok === false) {
    return yield errorsOf({ code: 'UNSUPPORTED', status: 400, message: `repository: ${glob.problem}` });
  }

  const now = registry.clock.now();
  yield { plan: { madeAt: timeText(now), policyHash: policies.set.hash } };
  let latest: z.output<typeof progress> = { name: 'repositories', done: 0 };
  const plans = planRetention(registry, {
    policies: policies.set,
    repositories: glob?.glob,
    now,
    onProgress: (come) => {
      latest = come;
    },
  });
  const total = { repositories: 0, ...noSums() };
  try {
    for (;;) {
      for await (const next of withPauses(plans.next())) {
        if (next === undefined) yield { progress: latest };
        else if (next.done === true) return yield { total };
        else {
          const plan = next.value;
          for (const items of linesOfItems(plan, asked.all, (verdict) => ({
            rule: words.causeName(verdict.cause),
            reason: words.reasonText(plan.policy, verdict, now),
          }))) {
            yield { items };
          }
          const summed = sumsOf(plan);
          total.repositories += 1;
          for (const [name, value] of entriesOf(summed)) total[name] += value;
          const { name: policy, rails } = plan.policy;
          yield { repository: { repository: plan.repo, policy, mayPruneLastTag: rails.mayPruneLastTag, ...summed } };
        }
      }
    }
  } finally {
    await plans.return();
  }
}

function problemOf(policies: Exclude<PolicySetResult, { ok: true }> | undefined): Problem {
  const message =
    policies === undefined
      ? 'the configuration has no policies: give some to plan by'
      : ['these policies are not accepted:', ...policies.problems].join('\n  ');
  return { code: 'UNSUPPORTED', status: 400, message };
}

interface Words {
  readonly rule: string;
  readonly reason: string;
}

function* linesOfItems(
  { repo, goes, waits, stays }: RepositoryPlan,
  areAllAsked: boolean,
  wordsOf: (verdict: Verdict) => Words,
): Generator<Item[], void, undefined> {
  let items: Item[] = [];
  for (const [outcome, list] of [
    ['goes', goes],
    ['waits', waits],
    ['stays', areAllAsked ? stays : []],
  ] as const) {
    for (const one of list) {
      items.push(
        'verdict' in one
          ? { ...shown(repo, outcome, one.verdict, wordsOf), ...shownFreed(one) }
          : shown(repo, outcome, one, wordsOf),
      );
      if (items.length < itemsPerLine) continue;
      yield items;
      items = [];
    }
  }
  if (items.length > 0) yield items;
}

function shown(
  repository: string,
  outcome: Item['outcome'],
  verdict: Verdict,
  wordsOf: (verdict: Verdict) => Words,
): Item {
  const { item: facts, changesAt } = verdict;
  const untaggedAt = facts.kind === 'untagged' ? facts.untaggedAt : null;
  const used = usedAt(facts);
  return {
    repository,
    ...(facts.kind === 'tag' && { tag: facts.name }),
    digest: facts.digest,
    outcome,
    ...wordsOf(verdict),
    ...(facts.pushedAt !== null && { pushedAt: timeText(facts.pushedAt) }),
    ...(facts.taggedAt !== null && { taggedAt: timeText(facts.taggedAt) }),
    ...(facts.pulledAt !== null && { pulledAt: timeText(facts.pulledAt) }),
    ...(untaggedAt !== null && { untaggedAt: timeText(untaggedAt) }),
    ...(used !== null && { usedAt: timeText(used) }),
    ...(changesAt !== null && { changesAt: timeText(changesAt) }),
  };
}

function shownFreed({ freesBytes, freesBlobs }: PlannedRemoval): Pick<Item, 'freesBytes' | 'freesBlobs'> {
  return { freesBytes, freesBlobs };
}

function noSums(): Sums {
  return {
    goingTags: 0,
    goingManifests: 0,
    freesBytes: 0,
    freesBlobs: 0,
    waitingTags: 0,
    waitingManifests: 0,
    stayingTags: 0,
    stayingManifests: 0,
  };
}

function sumsOf({ goes, waits, stays }: RepositoryPlan): Sums {
  const goingTags = goes.filter(({ isTag }) => isTag).length;
  const waitingTags = waits.filter(({ isTag }) => isTag).length;
  const stayingTags = stays.filter(({ item: { kind } }) => kind === 'tag').length;
  return {
    goingTags,
    goingManifests: goes.length - goingTags,
    freesBytes: goes.reduce((sum, { freesBytes }) => sum + freesBytes, 0),
    freesBlobs: goes.reduce((sum, { freesBlobs }) => sum + freesBlobs, 0),
    waitingTags,
    waitingManifests: waits.length - waitingTags,
    stayingTags,
    stayingManifests: stays.length - stayingTags,
  };
}

function entriesOf(summed: Sums): readonly (readonly [keyof Sums, number])[] {
  return sums.keyof().options.map((name) => [name, summed[name]] as const);
}
