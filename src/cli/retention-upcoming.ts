import type { z } from 'zod';
import { listUpcoming } from '../http/admin/retention-upcoming.ts';
import { adminCommand } from './admin-command.ts';
import type { CommandDefinition } from './command-definition.ts';
import { listed } from './printed.ts';
import type { ProgressLine } from './progress-line.ts';
import { timeText } from './table.ts';

type Line = z.output<typeof listUpcoming.line>;
type Item = Extract<Line, { items: unknown }>['items'][number];

/** `wherry retention upcoming`: what goes within the next days, unless it is used before. */
export const defineRetentionUpcoming: CommandDefinition = (command, end) => {
  command
    .description('show what goes by its policy within the next days, unless it is used before')
    .option('--within <duration>', 'how far to look ahead', '7d')
    .option('--repo <glob>', 'only repositories that this matches');
  adminCommand(command, end, (admin, { flags: { within, repo }, progress }) => {
    const query = { within: String(within), ...(typeof repo === 'string' && { repository: repo }) };
    const pages = itemsOf(admin.listen(listUpcoming, { query }), progress);
    const titles = ['REPOSITORY', 'TAG', 'DIGEST', 'GOES (UTC)', 'WHY IT STAYS UNTIL THEN'];
    const ifEmpty = `Nothing goes within ${String(within)}.`;
    return Promise.resolve(listed({ name: 'items', pages, titles, rowOf, ifEmpty }, progress));
  });
};

async function* itemsOf(
  lines: AsyncIterable<Line>,
  progress: ProgressLine,
): AsyncGenerator<readonly Item[], void, undefined> {
  for await (const line of lines) {
    if ('items' in line) yield line.items;
    else if ('progress' in line) progress.show(line.progress);
  }
}

function rowOf({ repository, tag, digest, endsAt, reason }: Item): readonly string[] {
  return [
    repository,
    tag ?? '(untagged)',
    digest.slice(0, 'sha256:'.length + 12),
    endsAt === undefined ? 'now' : timeText(endsAt),
    endsAt === undefined ? `its time has come: ${reason}` : reason,
  ];
}
