import type { z } from 'zod';
import { approvePolicies, resumePruning, retentionStatus } from '../http/admin/retention-control.ts';
import { adminCommand } from './admin-command.ts';
import type { CommandDefinition } from './command-definition.ts';
import { printed } from './printed.ts';
import { bytesText, tableText, timeText } from './table.ts';

type Status = z.output<typeof retentionStatus.answer>;
type Counted = NonNullable<Status['policies'][number]['wouldPrune']>;

/** `wherry retention status`: which policies prune, and which wait. */
export const defineRetentionStatus: CommandDefinition = (command, end) => {
  command.description('say which policies prune, which wait for approval, and whether pruning is paused');
  adminCommand(command, end, async (admin) => {
    const status = await admin.ask(retentionStatus);
    return printed(status, textOf(status));
  });
};

/** `wherry retention approve`: lets a changed policy prune. */
export const defineRetentionApprove: CommandDefinition = (command, end) => {
  command
    .description('let changed policies prune that wait for it, since what they would prune passes their rails')
    .option('--policy <name>', 'only this one');
  adminCommand(command, end, async (admin, { flags: { policy } }) => {
    const answer = await admin.ask(approvePolicies, { body: typeof policy === 'string' ? { policy } : {} });
    const { approved } = answer;
    const none = typeof policy === 'string' ? `${policy} does not wait for approval.` : 'No policy waits for approval.';
    const some = `Approved: ${approved.join(', ')}. What goes, goes within the rails of each day.`;
    return printed(answer, approved.length === 0 ? none : some);
  });
};

/** `wherry retention resume`: the clock is right. */
export const defineRetentionResume: CommandDefinition = (command, end) => {
  command.description('prune again, where that is paused because the clock was set: it is right as it is');
  adminCommand(command, end, async (admin) => {
    const status = await admin.ask(resumePruning);
    return printed(status, textOf(status));
  });
};

function textOf({ policies, paused, collectorPaused }: Status): string {
  const pause =
    paused === undefined
      ? []
      : [
          `Nothing is pruned until ${timeText(paused.until)} (UTC): ${paused.reason}.`,
          'If the clock is right, say "wherry retention resume".',
          '',
        ];
  const held =
    collectorPaused === undefined
      ? []
      : [
          `The collector is paused since ${timeText(collectorPaused.pausedAt)} by ${collectorPaused.pausedBy}: ${collectorPaused.reason}`,
          'Nothing is pruned either, until somebody says "wherry collector resume".',
          '',
        ];
  const rows = policies.map(({ name, state, wouldPrune, railsLet }) => [
    name,
    stateText[state],
    wouldPrune === undefined ? '' : countText(wouldPrune),
    railsLet === undefined ? '' : countText(railsLet),
  ]);
  const waits = policies.some(({ state }) => state === 'waiting');
  const advice = waits ? ['', 'Look at "wherry retention plan", then say "wherry retention approve".'] : [];
  return [...pause, ...held, tableText(['POLICY', 'STATE', 'WOULD PRUNE', 'AT ONCE'], rows), ...advice].join('\n');
}

const stateText = { approved: 'prunes', waiting: 'waits for approval', looking: 'is being looked at' } as const;

function countText({ tags, manifests, bytes }: Counted): string {
  const untagged = manifests === 0 ? '' : `, ${manifests} untagged manifests`;
  return `${tags} tags${untagged}, ${bytesText(bytes)}`;
}
