import { z } from 'zod';
import { byteSize, choice, duration, wholeNumber } from '../config/setting-types.ts';
import { bool, group, name, oneOrMore, parsed, repositoryGlob, value } from './document-schema.ts';
import { Glob } from './glob.ts';
import { isExpression, parsePattern, parseTagPattern, Expression } from './pattern.ts';
import type { Criteria, Policy, Rails, Rule, Selector } from './policy.ts';

const day = 86_400_000;
const longest = 36_500 * day;

const window = duration({ minMs: 1, maxMs: longest });
const grace = duration({ minMs: 1, maxMs: longest, zeroMeans: 'no time at all' });
const count = wholeNumber({ min: 0, max: 1_000_000 });
const size = byteSize({ min: '0B', max: '1000000GiB' });

/** What every rail is where the policy does not say. */
export const defaultRails: Rails = {
  tagsPerDay: 0.2,
  bytesPerDay: 0.2,
  mayPruneLastTag: false,
  graceMs: day,
  untaggedGraceMs: 30 * day,
};

const tagPattern = parsed(
  'globs such as v* and latest, or regular expressions between slashes, such as /v\\d+/',
  (text) => renamed(parseTagPattern(text)),
);
const textPattern = parsed(
  'a glob (* stands for anything but slashes, ** for anything), or a regular expression between slashes',
  (text) => renamed(parsePattern(text)),
);
const textGlob = parsed('globs such as scanner-* and Trivy/**', (text) => {
  const outcome = Glob.parse(text);
  return outcome.ok ? { ok: true, result: outcome.glob } : outcome;
});
const grouping = parsed<Expression>('a regular expression with a group, such as /(.+)-\\d+/', (text) => {
  if (!isExpression(text)) return { ok: false, problem: 'a regular expression stands between slashes' };
  const outcome = Expression.parse(text);
  if (!outcome.ok) return outcome;
  if (!(outcome.pattern instanceof Expression) || outcome.pattern.groupCount === 0) {
    return { ok: false, problem: 'this has no group in parentheses' };
  }
  return { ok: true, result: outcome.pattern };
});
const share = parsed('a part such as 20%, from 0% to 100%', (text) => {
  const percent = /^(\d{1,3}(?:\.\d{1,3})?)%$/.exec(text)?.[1];
  if (percent === undefined) return { ok: false, problem: 'this is not a part in percent' };
  if (Number(percent) > 100) return { ok: false, problem: 'this is more than all' };
  return { ok: true, result: Number(percent) / 100 };
});
const patternsByName = z
  .record(z.string(), textPattern, { error: 'is a group of names, each with what it must match' })
  .transform((patterns) => new Map(Object.entries(patterns)));

const semverShape = {
  newest: value(count),
  per: value(choice(['repository', 'major', 'minor'])).default('repository'),
  prereleases: value(choice(['exclude', 'include', 'only'])).default('exclude'),
};

const ruleShape = {
  name: name.optional(),
  action: value(choice(['keep', 'prune'])),
  tags: oneOrMore(tagPattern).default([]),
  exclude: oneOrMore(tagPattern).default([]),
  tagState: value(choice(['tagged', 'untagged', 'any'])).default('tagged'),
  labels: patternsByName.default(new Map()),
  annotations: patternsByName.default(new Map()),
  artifactType: oneOrMore(textPattern).default([]),
  mediaType: oneOrMore(textPattern).default([]),
  signed: bool.optional(),
  mostRecentlyPushedCount: value(count).optional(),
  mostRecentlyPulledCount: value(count).optional(),
  pushedWithin: value(window).optional(),
  pulledWithin: value(window).optional(),
  taggedWithin: value(window).optional(),
  olderThan: value(window).optional(),
  notPulledFor: value(window).optional(),
  largerThan: value(size).optional(),
  semver: group(semverShape).optional(),
  groupBy: grouping.optional(),
  budget: value(size).optional(),
};

const railsShape = {
  tagsPerDay: share.default(defaultRails.tagsPerDay),
  bytesPerDay: share.default(defaultRails.bytesPerDay),
  mayPruneLastTag: bool.default(defaultRails.mayPruneLastTag),
  grace: value(grace).default(defaultRails.graceMs),
  untaggedGrace: value(grace).default(defaultRails.untaggedGraceMs),
};

const ignoredShape = {
  users: oneOrMore(textGlob).default([]),
  robots: oneOrMore(textGlob).default([]),
  userAgents: oneOrMore(textGlob).default([]),
};

const policyShape = {
  name: name.optional(),
  repositories: oneOrMore(repositoryGlob),
  rules: z
    .array(group(ruleShape).check(refuseContradictions), { error: 'is a list of rules' })
    .max(100, { error: 'has more than 100 rules' })
    .default([]),
  default: value(
    choice(['keep', 'prune']),
    'must be written out, so that nobody prunes by having forgotten it: keep leaves what no rule names, prune takes it ' +
      'away',
  ),
  rails: group(railsShape).prefault({}),
  whenFull: value(choice(['keep', 'prune'])).default('keep'),
  ignorePullsBy: group(ignoredShape).prefault({}),
  countHeads: bool.default(false),
};

/** What the key `policies` holds, with everything that may be left out filled in. */
export const policiesSchema = z
  .array(group(policyShape), { error: 'is a list of policies' })
  .max(1000, { error: 'has more than 1000 policies' })
  .transform((policies) => policies.map((policy, index) => policyOf(policy, `policies[${index}]`)));

/** The names that may stand where a problem's path leads, for the nearest spelling. */
export function namesIn(path: readonly PropertyKey[]): readonly string[] {
  const last = path.findLast((part) => typeof part === 'string');
  const shapes = { rules: ruleShape, rails: railsShape, ignorePullsBy: ignoredShape, semver: semverShape };
  for (const [key, shape] of Object.entries(shapes)) if (key === last) return Object.keys(shape);
  return Object.keys(policyShape);
}

type ParsedRule = z.output<ReturnType<typeof group<typeof ruleShape>>>;
type ParsedPolicy = z.output<ReturnType<typeof group<typeof policyShape>>>;

const ranks = ['mostRecentlyPushedCount', 'mostRecentlyPulledCount', 'semver'] as const;
const aboutTags = ['tags', 'exclude', 'semver', 'groupBy'] as const;

function refuseContradictions(context: z.core.ParsePayload<ParsedRule>): void {
  const rule = context.value;
  const refuse = (key: keyof ParsedRule, message: string): void => {
    context.issues.push({ code: 'custom', message, path: [key], input: rule[key] });
  };
  const isSet = (key: keyof ParsedRule): boolean => {
    const set = rule[key];
    return Array.isArray(set) ? set.length > 0 : set !== undefined;
  };
  if (rule.action === 'prune') {
    for (const key of ranks.filter(isSet)) {
      refuse(
        key,
        'is for rules that keep. To prune all but these, keep them by one rule and prune the others by another: keep ' +
          'beats prune',
      );
    }
  }
  if (rule.tagState !== 'tagged') {
    for (const key of aboutTags.filter(isSet)) {
      refuse(key, `is about tags, but tagState is ${rule.tagState}; write a rule for each`);
    }
  }
  if (isSet('groupBy') && !ranks.some(isSet)) refuse('groupBy', `needs one of ${ranks.join(', ')} beside it`);
}

function policyOf(given: ParsedPolicy, path: string): Policy {
  const { rails, whenFull, ignorePullsBy, countHeads, repositories, rules } = given;
  return {
    name: given.name ?? path,
    repositories,
    rules: rules.map((rule, index) => ruleOf(rule, `${path}.rules[${index}]`)),
    default: given.default,
    rails: {
      tagsPerDay: rails.tagsPerDay,
      bytesPerDay: rails.bytesPerDay,
      mayPruneLastTag: rails.mayPruneLastTag,
      graceMs: rails.grace,
      untaggedGraceMs: rails.untaggedGrace,
    },
    whenFull,
    ignorePullsBy,
    countHeads,
  };
}

function ruleOf(given: ParsedRule, path: string): Rule {
  const selector: Selector = {
    tags: given.tags,
    exclude: given.exclude,
    tagState: given.tagState,
    labels: given.labels,
    annotations: given.annotations,
    artifactType: given.artifactType,
    mediaType: given.mediaType,
    signed: given.signed,
    groupBy: given.groupBy,
  };
  const criteria: Criteria = {
    mostRecentlyPushedCount: given.mostRecentlyPushedCount,
    mostRecentlyPulledCount: given.mostRecentlyPulledCount,
    pushedWithinMs: given.pushedWithin,
    pulledWithinMs: given.pulledWithin,
    taggedWithinMs: given.taggedWithin,
    olderThanMs: given.olderThan,
    notPulledForMs: given.notPulledFor,
    largerThanBytes: given.largerThan,
    semver: given.semver,
    budgetBytes: given.budget,
  };
  return { name: given.name, path, action: given.action, selector, criteria };
}

function renamed<T>(
  outcome: { ok: true; pattern: T } | { ok: false; problem: string },
): { ok: true; result: T } | { ok: false; problem: string } {
  return outcome.ok ? { ok: true, result: outcome.pattern } : outcome;
}

/** The names of all that a rule may have, and of all rails. */
export const ruleKeys: readonly string[] = Object.keys(ruleShape);
export const railKeys: readonly string[] = Object.keys(railsShape);
