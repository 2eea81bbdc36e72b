import { z } from 'zod';
import { parseDuration } from '../../config/duration.ts';
import type { Verdict } from '../../retention/evaluate.ts';
import type { Policy } from '../../retention/policy.ts';
import { errors, errorsOf } from '../errors.ts';
import { type AdminCall, linesEndpoint, nothing, time, timeText } from './endpoint.ts';
import { progress, withPauses } from './lines.ts';

/** Items that one line has at most. */
const itemsPerLine = 100;

const item = z.object({
  repository: z.string(),
  tag: z.string().optional(),
  digest: z.string(),
  /** When it goes, unless it is used before; not given where its time has come, and the rails let it go on another day. */
  endsAt: time.optional(),
  /** Why it stays until then; or where its time has come, why it goes; and whether its policy waits for approval. */
  reason: z.string(),
});

const line = z.union([
  z.object({ progress }),
  z.object({ items: z.array(item) }),
  z.object({ total: z.object({ items: z.number().int() }) }),
  errors,
]);

export const listUpcoming = linesEndpoint({
  method: 'GET',
  path: '/retention/upcoming',
  action: 'admin',
  summary: 'What goes by its retention policy within a time, unless it is used before. Answers in lines.',
  query: z.strictObject({ within: z.string().default('7d'), repository: z.string().optional() }),
  body: nothing,
  line,
  handle(call, { query }) {
    const within = parseDuration(query.within);
    if (!within.ok) {
      const message = `within: ${JSON.stringify(query.within)}: ${within.problem}: write 12h or 7d`;
      return { problem: { code: 'UNSUPPORTED', status: 400, message } };
    }
    return { lines: linesOf(call, { withinMs: within.ms, repository: query.repository }) };
  },
});

async function* linesOf(
  { registry, admin }: AdminCall,
  { withinMs, repository }: { readonly withinMs: number; readonly repository: string | undefined },
): AsyncGenerator<z.input<typeof line>, void, undefined> {
  const [{ planRetention }, { parseRepositoryGlob }, { reasonText }] = await Promise.all([
    import('../../pruning/plan.ts'),
    import('../../retention/pattern.ts'),
    import('../../retention/reason.ts'),
  ]);
  const policies = await admin.policies();
  if (policies?.ok !== true) {
    const message = 'the configuration has no policies, so nothing goes by itself';
    return yield errorsOf({ code: 'UNSUPPORTED', status: 400, message });
  }
  const glob = repository === undefined ? undefined : parseRepositoryGlob(repository);
  if (glob?.ok === false) {
    return yield errorsOf({ code: 'UNSUPPORTED', status: 400, message: `repository: ${glob.problem}` });
  }
  const now = registry.clock.now();
  let latest: z.output<typeof progress> = { name: 'repositories', done: 0 };
  let items = 0;
  // Nothing goes by such a one before somebody has approved of it.
  const standing = (await admin.pruner?.standing()) ?? [];
  const waitsForApproval = (policy: Policy): boolean =>
    standing.some((one) => one.policy === policy && one.state.state === 'waiting');
  const plans = planRetention(registry, {
    policies: policies.set,
    repositories: glob?.glob,
    now,
    onProgress: (come) => {
      latest = come;
    },
  });
  try {
    for (;;) {
      for await (const next of withPauses(plans.next())) {
        if (next === undefined) {
          yield { progress: latest };
          continue;
        }
        if (next.done === true) return yield { total: { items } };
        const { repo, policy, goes, waits, stays } = next.value;
        const ends = stays
          .filter(({ changesAt }) => changesAt !== null && changesAt <= now + withinMs)
          .toSorted((one, other) => (one.changesAt ?? 0) - (other.changesAt ?? 0));
        const reasonOf = (verdict: Verdict): string =>
          reasonText(policy, verdict, now) + (waitsForApproval(policy) ? `; ${policy.name} waits for approval` : '');
        const coming = [
          ...[...goes, ...waits].map(({ verdict }) => ({ verdict, endsAt: null })),
          ...ends.map((verdict) => ({ verdict, endsAt: verdict.changesAt })),
        ];
        items += coming.length;
        for (let start = 0; start < coming.length; start += itemsPerLine) {
          const some = coming.slice(start, start + itemsPerLine);
          yield {
            items: some.map(({ verdict, endsAt }) => shown(repo, verdict, endsAt, reasonOf(verdict))),
          };
        }
      }
    }
  } finally {
    await plans.return();
  }
}

function shown(
  repository: string,
  { item: one }: Verdict,
  endsAt: number | null,
  reason: string,
): z.input<typeof item> {
  return {
    repository,
    ...(one.kind === 'tag' && { tag: one.name }),
    digest: one.digest,
    ...(endsAt !== null && { endsAt: timeText(endsAt) }),
    reason,
  };
}
