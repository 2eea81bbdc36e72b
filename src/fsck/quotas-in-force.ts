import { z } from 'zod';
import type { Records } from './records.ts';

/** A quota of the registry, as far as checking what it counts goes. */
export interface CheckedQuota {
  readonly number: number;
  readonly name: string;
  readonly isEach: boolean;
  /** Until all is counted there is nothing to compare. */
  readonly isCounted: boolean;
  readonly globs: readonly RegExp[];
}

const settings = z.object({ name: z.string(), repositories: z.array(z.string()), each: z.boolean() });

/** What was read before: the quotas are asked for with everything that is looked at. */
const read = new Map<string, Pick<CheckedQuota, 'name' | 'isEach' | 'globs'>>();

function readSettings(text: string): Pick<CheckedQuota, 'name' | 'isEach' | 'globs'> {
  const known = read.get(text);
  if (known !== undefined) return known;
  const { name, repositories, each } = settings.parse(JSON.parse(text));
  const quota = { name, isEach: each, globs: repositories.map(globExpression) };
  read.set(text, quota);
  return quota;
}

/** The quotas in force, in their order. */
export async function quotasInForce(records: Records): Promise<readonly CheckedQuota[]> {
  const rows = await records.all<{ number: number; settings: string; phase: string }>(
    'select number, settings, phase from quota where position is not null order by position',
  );
  return rows.map(({ number, settings: text, phase }) => {
    const { name, isEach, globs } = readSettings(text);
    return { number, name, isEach, isCounted: phase === 'complete', globs };
  });
}

/** The one that a repository is under: the first with a glob for it. */
export function quotaOf(quotas: readonly CheckedQuota[], repo: string): CheckedQuota | undefined {
  return quotas.find(({ globs }) => globs.some((glob) => glob.test(repo)));
}

/** A glob for names of repositories (docs/retention.md), as a regular expression. */
export function globExpression(glob: string): RegExp {
  let text = '';
  const components = glob.split('/').filter((one, index, all) => one !== '**' || all[index - 1] !== '**');
  for (const [index, component] of components.entries()) {
    const isLast = index === components.length - 1;
    if (component === '**' && components.length === 1) text += '.*';
    else if (component === '**') text += isLast ? '(?:/.*)?' : '(?:.*/)?';
    else {
      const isBeforeLastRun = index === components.length - 2 && components[index + 1] === '**';
      text += componentExpression(component) + (isLast || isBeforeLastRun ? '' : '/');
    }
  }
  return new RegExp(`^${text}$`);
}

function componentExpression(component: string): string {
  return component.replaceAll(/\*\*|\*|\?|[^*?]/g, (part) => {
    switch (part) {
      case '**':
        return '.*';
      case '*':
        return '[^/]*';
      case '?':
        return '[^/]';
      default:
        return RegExp.escape(part);
    }
  });
}
