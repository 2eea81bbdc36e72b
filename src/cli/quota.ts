import type { z } from 'zod';
import { formatByteSize } from '../config/byte-size.ts';
import { listQuotas } from '../http/admin/quotas.ts';
import { adminCommand } from './admin-command.ts';
import type { CommandDefinition } from './command-definition.ts';
import { listed, pagesOf } from './printed.ts';
import { bytesText } from './table.ts';

type Shown = z.output<typeof listQuotas.answer>['quotas'][number];

const titles = ['QUOTA', 'REPOSITORIES', 'BYTES', 'SOFT', 'HARD', 'TAGS', 'SOFT', 'HARD', 'STATE'];

/** `wherry quota`: what is used of each quota, and what it allows. */
export const defineQuota: CommandDefinition = (command, end) => {
  adminCommand(command, end, (admin, { progress }) => {
    const pages = pagesOf(async (after) => {
      const page = await admin.ask(listQuotas, { query: { after, n: '200' } });
      return { items: page.quotas, next: page.next };
    });
    return Promise.resolve(listed({ name: 'quotas', pages, titles, rowOf, ifEmpty: 'There are no quotas.' }, progress));
  });
};

function rowOf({ quota, repositories, repository, state, bytes, tags }: Shown): readonly string[] {
  return [
    quota,
    repository ?? repositories.join(', '),
    bytesText(bytes.used),
    textOf(bytes.soft, formatByteSize),
    textOf(bytes.hard, formatByteSize),
    String(tags.used),
    textOf(tags.soft, String),
    textOf(tags.hard, String),
    stateOf(state, bytes, tags),
  ];
}

function textOf(limit: number | undefined, format: (amount: number) => string): string {
  return limit === undefined ? '-' : format(limit);
}

function stateOf(state: Shown['state'], ...figures: readonly Shown['bytes'][]): string {
  if (state === 'counting') return 'counting: nothing is refused yet';
  if (figures.some(({ used, hard }) => hard !== undefined && used >= hard)) return 'full';
  return figures.some(({ used, soft }) => soft !== undefined && used > soft) ? 'over soft' : 'ok';
}
