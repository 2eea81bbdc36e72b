import type { z } from 'zod';
import { collectorStatus, pauseTheCollector, resumeTheCollector } from '../http/admin/collector.ts';
import { formatDuration } from '../config/duration.ts';
import { adminCommand } from './admin-command.ts';
import type { CommandDefinition } from './command-definition.ts';
import { printed, type Printed } from './printed.ts';
import { timeText } from './table.ts';

type Status = z.output<typeof collectorStatus.answer>;

/** `wherry collector`: whether it works, and for an incident, that it does not. */
export const defineCollector: CommandDefinition = (command, end) => {
  const status = command.command('status').description('say whether it works, and how far it is behind');
  adminCommand(status, end, async (admin) => told(await admin.ask(collectorStatus)));

  const pause = command
    .command('pause')
    .description('collect nothing, also after a restart, until it is resumed')
    .option('--reason <text>', 'why, for whoever finds it paused', 'paused by an operator');
  adminCommand(pause, end, async (admin, { flags: { reason } }) =>
    told(await admin.ask(pauseTheCollector, { body: { reason } })),
  );

  const resume = command.command('resume').description('go on collecting');
  adminCommand(resume, end, async (admin) => told(await admin.ask(resumeTheCollector)));
};

function told(status: Status): Printed {
  return printed(status, textOf(status));
}

function textOf({ state, paused, dueReviews, oldestDueMs, nextDueAt }: Status): string {
  const lines = [];
  if (paused !== undefined) {
    lines.push(`The collector is paused since ${timeText(paused.pausedAt)} by ${paused.pausedBy}: ${paused.reason}`);
  } else if (state === 'no-server') {
    lines.push('No server runs on this data directory, so nothing is collected.');
  } else if (state === 'database-outdated') {
    lines.push('The database is older than the blobs: nothing is collected until wherry fsck --repair has settled it.');
  } else if (state === 'elsewhere') {
    lines.push('The process that answers does not collect (collector.run is off): others have to.');
  } else {
    lines.push(`The collector is ${state}.`);
  }
  if (dueReviews > 0) {
    lines.push(`${dueReviews} reviews are due, the first of them for ${formatDuration(Math.round(oldestDueMs))}.`);
  } else {
    lines.push(
      nextDueAt === undefined ? 'Nothing waits for a review.' : `The next review is due ${timeText(nextDueAt)} (UTC).`,
    );
  }
  return lines.join('\n');
}
