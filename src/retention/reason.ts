import { formatByteSize } from '../config/byte-size.ts';
import { formatDuration } from '../config/duration.ts';
import type { Cause, Verdict } from './evaluate.ts';
import { bornAt, usedAt, type Item } from './facts.ts';
import { ruleText, type Policy, type Rule } from './policy.ts';

/**
 * Says in words why something is kept or pruned: `rule 2 (releases) of builds: one of the 10 most recently pushed`.
 *
 * @param now the time that the verdict is about
 */
export function reasonText(policy: Policy, { item, action, cause }: Verdict, now: number): string {
  switch (cause.kind) {
    case 'pinned':
      return 'it is pinned';
    case 'immutable':
      return `it is immutable: rule ${cause.by}`;
    case 'follows':
      return cause.what === 'index' ? 'an index lists it, and it stays as long' : 'it goes with its subject';
    case 'rule':
      return `${ruleText(policy, cause.rule)}: ${ruleReason(cause.rule, item, now)}`;
    case 'default':
      return `no rule ${action === 'prune' ? 'keeps it' : 'prunes it'}, and the default of ${policy.name} is ${action}`;
    case 'unknownPush':
      return 'it is not known when it was pushed';
    case 'grace':
      return `it would be pruned, but its grace lasts another ${ageText(cause.until - now)}`;
    case 'lastTag':
      return 'it is the latest tag, and the policy may not prune the last one';
  }
}

/** The name of the rule that decided, for a table; else one word for what did. */
export function causeName(cause: Cause): string {
  return cause.kind === 'rule' ? (cause.rule.name ?? cause.rule.path) : cause.kind;
}

function ruleReason({ action, criteria, selector }: Rule, item: Item, now: number): string {
  const { semver } = criteria;
  const ofGroup = selector.groupBy === undefined ? '' : ' of its group';
  const words: string[] = [];
  const say = (limit: number | undefined, text: (limit: number) => string): void => {
    if (limit !== undefined) words.push(text(limit));
  };
  say(criteria.mostRecentlyPushedCount, (count) => `one of the ${count} most recently pushed${ofGroup}`);
  say(criteria.mostRecentlyPulledCount, (count) => `one of the ${count} most recently pulled${ofGroup}`);
  if (semver !== undefined) {
    const per = semver.per === 'repository' ? '' : ` of its ${semver.per} version`;
    words.push(`one of the ${semver.newest} newest versions${per}${ofGroup}`);
  }
  say(criteria.pushedWithinMs, (ms) => `${since('pushed', item.pushedAt, now)}, within ${formatDuration(ms)}`);
  say(criteria.pulledWithinMs, (ms) => `${useText(item, now)}, within ${formatDuration(ms)}`);
  say(criteria.taggedWithinMs, (ms) => `${since('tagged', item.taggedAt, now)}, within ${formatDuration(ms)}`);
  say(criteria.olderThanMs, (ms) => `${since('pushed or tagged', bornAt(item), now)}, ${formatDuration(ms)} or more`);
  say(criteria.notPulledForMs, (ms) => `${useText(item, now)}, ${formatDuration(ms)} or more`);
  say(criteria.largerThanBytes, (bytes) => `larger than ${formatByteSize(bytes)}`);
  say(
    criteria.budgetBytes,
    (bytes) => `${action === 'keep' ? 'within' : 'beyond'} the ${formatByteSize(bytes)} budget`,
  );
  return words.length === 0 ? 'it names it without a condition' : words.join('; ');
}

function useText(item: Item, now: number): string {
  return item.pulledAt === null
    ? `never pulled, ${since('pushed or tagged', bornAt(item), now)}`
    : since('last used', usedAt(item), now);
}

function since(what: string, time: number | null, now: number): string {
  return time === null ? `not known when ${what}` : `${what} ${ageText(now - time)} ago`;
}

/** A length of time in its largest unit or two: `3d`, `5h20m`. */
function ageText(ms: number): string {
  const units = [86_400_000, 3_600_000, 60_000, 1000, 1];
  const largest = units.findIndex((unit) => ms >= unit);
  const precision = units[largest + 1] ?? 1;
  return formatDuration(Math.floor(Math.max(ms, 0) / precision) * precision);
}
