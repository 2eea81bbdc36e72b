import type { z } from 'zod';
import { applyThePlan, mostAppliedItems } from '../http/admin/retention-apply.ts';
import { StartupError } from '../startup-error.ts';
import { adminCommand } from './admin-command.ts';
import type { AdminClient } from './admin-client.ts';
import type { CommandDefinition } from './command-definition.ts';
import { type PlanFile, type PlanFileItem, readPlanFile } from './plan-file.ts';
import { listed } from './printed.ts';
import type { ProgressLine } from './progress-line.ts';
import { bytesText } from './table.ts';

type Outcome = z.output<typeof applyThePlan.answer>['items'][number]['outcome'];

interface AppliedItem {
  readonly repository: string;
  readonly tag?: string;
  readonly digest: string;
  readonly outcome: Outcome;
  readonly freesBytes: number;
}

/** `wherry retention apply FILE`: carries out a plan that a person has looked at. */
export const defineRetentionApply: CommandDefinition = (command, end) => {
  command
    .description('remove what a plan lets go, and nothing else; what has been used since stays, and is shown')
    .argument('<file>', 'a plan that "wherry retention plan --out FILE" has written');
  adminCommand(command, end, async (admin, { args: [path = ''], progress }) => {
    const plan = await readPlanFile(path);
    const total = { pruned: 0, bytes: 0, stays: 0 };
    const pages = applied(admin, plan, progress, (items) => {
      for (const { outcome, freesBytes } of items) {
        total[outcome === 'pruned' ? 'pruned' : 'stays'] += 1;
        total.bytes += freesBytes;
      }
    });
    const titles = ['REPOSITORY', 'TAG', 'DIGEST', 'FREES', 'WHAT BECAME OF IT'];
    const table = listed({ name: 'items', pages, titles, rowOf, ifEmpty: 'Nothing goes by this plan.' }, progress);
    return {
      json: () => table.json(),
      async *text() {
        yield* table.text();
        const { pruned, bytes, stays } = total;
        if (pruned + stays === 0) return;
        const notGone = stays === 0 ? '' : `; ${stays} were left as they are`;
        yield `${pruned} went into the trash, which gives ${bytesText(bytes)} back when their time there is over${notGone}.\n`;
      },
    };
  });
};

async function* applied(
  admin: AdminClient,
  { items, repositories }: PlanFile,
  progress: ProgressLine,
  count: (items: readonly AppliedItem[]) => void,
): AsyncGenerator<readonly AppliedItem[], void, undefined> {
  const going = items.filter(({ outcome }) => outcome === 'goes');
  const mayPruneLastTag = new Map(repositories.map((one) => [one.repository, one.mayPruneLastTag]));
  let done = 0;
  for (const [repository, ofRepository] of Map.groupBy(going, (item) => item.repository)) {
    for (let start = 0; start < ofRepository.length; start += mostAppliedItems) {
      const some = ofRepository.slice(start, start + mostAppliedItems);
      const body = { repository, mayPruneLastTag: mayPruneLastTag.get(repository) ?? false, items: some.map(asked) };
      const answer = await admin.ask(applyThePlan, { body });
      const shown = some.map(({ tag, digest }, at) => {
        const { outcome = 'gone', freesBytes = 0 } = answer.items[at] ?? {};
        return { repository, ...(tag !== undefined && { tag }), digest, outcome, freesBytes };
      });
      count(shown);
      yield shown;
      done += some.length;
      progress.show({ name: `of ${going.length} items`, done });
    }
  }
}

function asked({ tag, digest, pushedAt, taggedAt, pulledAt, reason }: PlanFileItem) {
  if (pushedAt === undefined) throw new StartupError(`the plan does not say when ${tag ?? digest} was pushed`);
  return { tag, digest, pushedAt, taggedAt, pulledAt, reason: `by a plan: ${reason}`.slice(0, 1000) };
}

function rowOf({ repository, tag, digest, outcome, freesBytes }: AppliedItem): readonly string[] {
  return [
    repository,
    tag ?? '(untagged)',
    digest.slice(0, 'sha256:'.length + 12),
    outcome === 'pruned' ? bytesText(freesBytes) : '',
    outcomeText[outcome],
  ];
}

const outcomeText: Readonly<Record<Outcome, string>> = {
  pruned: 'is in the trash',
  gone: 'is not there any more',
  pushed: 'stays: it was pushed or tagged since',
  pulled: 'stays: it was pulled since',
  pinned: 'stays: it is pinned',
  held: 'stays: a tag, an index or a subject holds it by now',
  immutable: 'stays: a rule says that it is immutable',
  'last-tag': 'stays: it would be the last tag of the repository',
};
