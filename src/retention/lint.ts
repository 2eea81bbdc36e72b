import { Glob } from './glob.ts';
import { matchesNoTag } from './no-tag.ts';
import type { Pattern } from './pattern.ts';
import type { Criteria, Policy, Rule, Selector } from './policy.ts';

/** Something in the policies that is allowed, and most likely not meant. */
export interface LintRemark {
  /** `policies[0].rules[1]` */
  readonly path: string;
  readonly message: string;
}

/**
 * Finds what can never matter in policies. What it says is true; it does not find everything, because not everything
 * can be decided from the patterns alone.
 */
export function lintPolicies(policies: readonly Policy[]): readonly LintRemark[] {
  return policies.flatMap((policy, index) => [
    ...lintRepositories(policies, index),
    ...lintOutcome(policy, `policies[${index}]`),
    ...policy.rules.flatMap((rule, place) => lintRule(policy, rule, place)),
  ]);
}

function lintRepositories(policies: readonly Policy[], index: number): readonly LintRemark[] {
  const { repositories = [] } = policies[index] ?? {};
  const path = `policies[${index}]`;
  const covered = repositories.map((glob, place) => {
    const inEarlier = policies.slice(0, index).find((earlier) => earlier.repositories.some((one) => one.covers(glob)));
    if (inEarlier !== undefined) return `${inEarlier.name}, which comes before it`;
    return repositories.slice(0, place).some((one) => one.covers(glob)) ? 'a glob before it' : undefined;
  });
  if (covered.length > 0 && covered.every((by) => by?.endsWith('which comes before it'))) {
    return [
      {
        path,
        message: `never applies: every repository that it matches is taken by ${[...new Set(covered)].join(', ')}`,
      },
    ];
  }
  return covered.flatMap((by, place) =>
    by === undefined
      ? []
      : [{ path: `${path}.repositories[${place}]`, message: `never decides: what it matches is taken by ${by}` }],
  );
}

function lintOutcome({ default: byDefault, rules, rails, whenFull }: Policy, path: string): readonly LintRemark[] {
  const remarks: LintRemark[] = [];
  const has = (action: Rule['action']): boolean => rules.some((rule) => rule.action === action);
  if (byDefault === 'keep' && rules.length > 0 && !has('prune') && whenFull === 'keep') {
    remarks.push({ path, message: 'prunes nothing: no rule prunes, and neither does the default' });
  }
  if (byDefault === 'prune' && !has('keep')) {
    remarks.push({
      path,
      message: 'keeps nothing but what the rails keep: no rule keeps, and neither does the default',
    });
  }
  for (const [rail, share] of [
    ['tagsPerDay', rails.tagsPerDay],
    ['bytesPerDay', rails.bytesPerDay],
  ] as const) {
    if (share === 0) remarks.push({ path: `${path}.rails.${rail}`, message: 'is 0%, so nothing is ever pruned' });
  }
  return remarks;
}

function lintRule(policy: Policy, rule: Rule, place: number): readonly LintRemark[] {
  const { path } = rule;
  const remarks = patternRemarks(rule);
  const never = (why: string | undefined): void => {
    if (why !== undefined) remarks.push({ path, message: `never applies: ${why}` });
  };
  never(emptySelection(rule.selector));
  never(contradiction(rule.criteria));
  if (rule.action === 'prune' && policy.default === 'prune') {
    remarks.push({ path, message: 'changes nothing: the default prunes whatever no rule keeps' });
  }
  const broader = policy.rules.findIndex(
    (other, index) =>
      index !== place &&
      keepsAllThatItNames(other) &&
      covers(other.selector, rule.selector) &&
      // Of two that name the same, the later one is the one too many.
      (index < place || !keepsAllThatItNames(rule) || !covers(rule.selector, other.selector)),
  );
  if (broader !== -1) {
    const effect = rule.action === 'prune' ? 'never prunes anything' : 'adds nothing';
    remarks.push({ path, message: `${effect}: rules[${broader}] keeps all that it names, and keep beats prune` });
  }
  return remarks;
}

function patternRemarks({ path, selector }: Rule): LintRemark[] {
  return (['tags', 'exclude'] as const).flatMap((key) =>
    selector[key].flatMap((pattern, index) =>
      matchesNoTag(pattern)
        ? [
            {
              path: `${path}.${key}[${index}]`,
              message: `matches no tag: ${pattern.source} asks for a character that no tag has`,
            },
          ]
        : [],
    ),
  );
}

function emptySelection({ tags, exclude, tagState }: Selector): string | undefined {
  if (tagState === 'untagged') return undefined;
  const isEmpty =
    tags.length === 0
      ? exclude.some((pattern) => pattern instanceof Glob && /^\*+$/.test(pattern.source))
      : tags.every((pattern) => isCovered(pattern, exclude));
  return isEmpty ? 'exclude takes all of its tags away' : undefined;
}

function contradiction(criteria: Criteria): string | undefined {
  const { mostRecentlyPushedCount, mostRecentlyPulledCount, semver, olderThanMs, notPulledForMs } = criteria;
  if ([mostRecentlyPushedCount, mostRecentlyPulledCount, semver?.newest].includes(0)) return 'it counts to 0';
  const limits = [
    ['pushedWithin', criteria.pushedWithinMs, 'olderThan', olderThanMs],
    ['taggedWithin', criteria.taggedWithinMs, 'olderThan', olderThanMs],
    // Being pushed or tagged counts as being used.
    ['pushedWithin', criteria.pushedWithinMs, 'notPulledFor', notPulledForMs],
    ['taggedWithin', criteria.taggedWithinMs, 'notPulledFor', notPulledForMs],
    ['pulledWithin', criteria.pulledWithinMs, 'notPulledFor', notPulledForMs],
  ] as const;
  const clash = limits.find(([, within, , least]) => within !== undefined && least !== undefined && within <= least);
  return clash === undefined ? undefined : `${clash[0]} and ${clash[2]} leave no time between them`;
}

function keepsAllThatItNames({ action, criteria }: Rule): boolean {
  return action === 'keep' && Object.values(criteria).every((criterion) => criterion === undefined);
}

/** Whether one selector certainly selects all that another selects. */
function covers(one: Selector, other: Selector): boolean {
  const { labels, annotations, artifactType, mediaType, signed } = one;
  return (
    (one.tagState === 'any' || one.tagState === other.tagState) &&
    labels.size + annotations.size + artifactType.length + mediaType.length === 0 &&
    signed === undefined &&
    (one.tags.length === 0 || (other.tags.length > 0 && other.tags.every((pattern) => isCovered(pattern, one.tags)))) &&
    one.exclude.every((pattern) => isCovered(pattern, other.exclude))
  );
}

function isCovered(pattern: Pattern, by: readonly Pattern[]): boolean {
  return by.some(
    (one) => one.source === pattern.source || (one instanceof Glob && pattern instanceof Glob && one.covers(pattern)),
  );
}
