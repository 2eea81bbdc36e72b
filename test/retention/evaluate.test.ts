import { expect, test } from 'bun:test';
import * as fc from 'fast-check';
import type { PolicyDefinition, RuleDefinition } from '../../src/retention/definition.ts';
import { evaluate } from '../../src/retention/evaluate.ts';
import { nameOf, type RepositoryFacts } from '../../src/retention/facts.ts';
import { freedBytes, freedOneByOne } from '../../src/retention/freed.ts';
import { digestFor, now, policyOf, tagFacts, untaggedFacts, type Given } from './facts.ts';
import { boundsByReference, prunedByReference } from './naive-reference.ts';

// Few different values, so that times are equal, bounds are met exactly, and layers are shared.
const ages = fc.constantFrom('0', '1d', '2d', '3d', '5d', '8d', '13d');
const lengths = fc.constantFrom('1d', '2d', '4d', '5d', '8d');
const counts = fc.integer({ min: 0, max: 3 });
const sizes = fc.constantFrom('0B', '100B', '300B', '500B', '1kB');
const names = [
  'v1.0.0',
  'v1.0.1',
  '1.0.1',
  '1.1.0',
  '2.0.0-rc.1',
  '2.0.0-rc.2',
  '2.0.0',
  'main-1',
  'main-2',
  'fix-1',
  'fix-2',
  'latest',
];
const patterns = fc.constantFrom('v*', '*', '?.*', '*-?', 'main-*', 'latest', '/v?1\\..*/', '/(main|fix)-\\d/', '*rc*');

const maybe = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(value, { nil: undefined, freq: 2 });

const given: fc.Arbitrary<Given> = fc
  .record({
    pushed: fc.oneof({ weight: 12, arbitrary: ages }, { weight: 1, arbitrary: fc.constant(null) }),
    tagged: fc.oneof({ weight: 6, arbitrary: ages }, { weight: 1, arbitrary: fc.constant(null) }),
    pulled: maybe(ages),
    untagged: maybe(ages),
    isSigned: fc.boolean(),
    labels: fc.constantFrom({}, { team: 'a' }, { team: 'b' }),
    isPinned: fc.integer({ max: 9, min: 0 }).map((die) => die === 0),
    follows: fc.constantFrom(...Array<undefined>(9).fill(undefined), 'subject' as const),
    contents: fc
      .uniqueArray(fc.constantFrom('a', 'b', 'c', 'd', 'e'), { maxLength: 3 })
      .map((words) => Object.fromEntries(words.map((word) => [word, word.charCodeAt(0)]))),
  })
  .map(withoutUndefined);

const repositories: fc.Arbitrary<RepositoryFacts> = fc
  .record({
    tags: fc.uniqueArray(fc.tuple(fc.constantFrom(...names), given), { maxLength: 8, selector: ([name]) => name }),
    untagged: fc.array(given, { maxLength: 3 }),
  })
  .map(({ tags, untagged }) => ({
    tags: tags.map(([name, one]) => tagFacts(name, one)),
    untagged: untagged.map((one, index) => untaggedFacts(`untagged ${index}`, one)),
  }));

const rules: fc.Arbitrary<RuleDefinition> = fc
  .record({
    action: fc.constantFrom('keep' as const, 'prune' as const),
    tags: maybe(fc.uniqueArray(patterns, { minLength: 1, maxLength: 2 })),
    exclude: maybe(patterns),
    tagState: fc.constantFrom(undefined, undefined, 'tagged' as const, 'untagged' as const, 'any' as const),
    signed: maybe(fc.boolean()),
    labels: maybe(fc.constant({ team: 'a' })),
    mostRecentlyPushedCount: maybe(counts),
    mostRecentlyPulledCount: maybe(counts),
    semver: maybe(
      fc.record({
        newest: counts,
        per: fc.constantFrom('repository' as const, 'major' as const, 'minor' as const),
        prereleases: fc.constantFrom('exclude' as const, 'include' as const, 'only' as const),
      }),
    ),
    groupBy: maybe(fc.constantFrom('/(.+)-\\d+/', '/v?(\\d).*/')),
    pushedWithin: maybe(lengths),
    pulledWithin: maybe(lengths),
    taggedWithin: maybe(lengths),
    olderThan: maybe(lengths),
    notPulledFor: maybe(lengths),
    largerThan: maybe(sizes),
    budget: maybe(sizes),
    // Most rules have one or two conditions; with all of them at once nothing would ever apply.
    asked: fc.uniqueArray(
      fc.constantFrom(
        'tags',
        'exclude',
        'tagState',
        'signed',
        'labels',
        'mostRecentlyPushedCount',
        'mostRecentlyPulledCount',
        'semver',
        'groupBy',
        'pushedWithin',
        'pulledWithin',
        'taggedWithin',
        'olderThan',
        'notPulledFor',
        'largerThan',
        'budget',
      ),
      { maxLength: 4 },
    ),
  })
  .map(({ asked, ...rule }) => asRule(rule, new Set<string>(asked)));

/** Rules whose parts only matter together, so that chance seldom makes one. */
const combinedRules: fc.Arbitrary<RuleDefinition> = fc.oneof(
  fc.record({
    action: fc.constant('keep' as const),
    groupBy: fc.constantFrom('/(.+)-\\d+/', '/(v?).*/'),
    mostRecentlyPushedCount: counts,
  }),
  fc.record({
    action: fc.constant('keep' as const),
    groupBy: fc.constantFrom('/(v?).*/'),
    semver: fc.record({ newest: counts, prereleases: fc.constant('include' as const) }),
  }),
  fc.record({ action: fc.constant('keep' as const), tags: patterns, pulledWithin: lengths }),
  fc.record({ action: fc.constant('keep' as const), tags: patterns, olderThan: lengths }),
  fc.record({ action: fc.constant('prune' as const), budget: fc.constantFrom('200B', '300B', '400B') }),
);

const policies: fc.Arbitrary<PolicyDefinition> = fc.record({
  repositories: fc.constant('**'),
  default: fc.constantFrom('keep' as const, 'prune' as const),
  rules: fc.array(fc.oneof(rules, combinedRules), { maxLength: 4 }),
  rails: fc.record({
    mayPruneLastTag: fc.boolean(),
    grace: fc.constantFrom('0', '1d', '3d'),
    untaggedGrace: fc.constantFrom('0', '2d', '5d'),
  }),
});

/** Leaves out what is not asked for, and what may not stand together. */
function asRule(
  rule: { readonly [Key in keyof RuleDefinition]?: RuleDefinition[Key] | undefined },
  asked: ReadonlySet<string>,
): RuleDefinition {
  const isPrune = rule.action === 'prune';
  const entries = Object.entries(rule).filter(([key]) => asked.has(key) || key === 'action');
  const set = new Set(entries.filter(([, value]) => value !== undefined).map(([key]) => key));
  const ranks = ['mostRecentlyPushedCount', 'mostRecentlyPulledCount', 'semver'];
  const isAboutTags = rule.tagState === undefined || rule.tagState === 'tagged' || !asked.has('tagState');
  const hasRank = !isPrune && ranks.some((rank) => set.has(rank) && (rank !== 'semver' || isAboutTags));
  const isAllowed = (key: string): boolean => {
    if (ranks.includes(key) && isPrune) return false;
    if (['tags', 'exclude', 'semver', 'groupBy'].includes(key) && !isAboutTags) return false;
    return key !== 'groupBy' || hasRank;
  };
  return {
    action: rule.action ?? 'keep',
    ...withoutUndefined(Object.fromEntries(entries.filter(([key]) => isAllowed(key)))),
  };
}

function withoutUndefined<T extends object>(object: T): { [Key in keyof T]: Exclude<T[Key], undefined> } {
  const copy = { ...object };
  for (const [key, value] of Object.entries(copy)) if (value === undefined) Reflect.deleteProperty(copy, key);
  return isWithoutUndefined(copy) ? copy : raise();
}

function isWithoutUndefined<T extends object>(
  object: T,
): object is T & { [Key in keyof T]: Exclude<T[Key], undefined> } {
  return Object.values(object).every((value) => value !== undefined);
}

function raise(): never {
  throw new Error('something is undefined');
}

const runs = Number(process.env['RETENTION_RUNS'] ?? 2000);
/** Ten times what it takes, for a machine that has other things to do. */
const timeoutMs = 60_000;

test(
  'every decision is the one of a reference that is written independently',
  () => {
    fc.assert(
      fc.property(policies, repositories, (definition, facts) => {
        const { verdicts } = evaluate(policyOf(definition), facts, now);
        const pruned = verdicts.filter(({ action }) => action === 'prune').map(({ item }) => nameOf(item));
        expect(pruned).toEqual([...prunedByReference(definition, facts, now)].map(nameOf));
      }),
      { numRuns: runs },
    );
  },
  timeoutMs,
);

test(
  'no decision changes by time alone before the time that its verdict gives',
  () => {
    fc.assert(
      fc.property(policies, repositories, (definition, facts) => {
        const { verdicts, changesAt } = evaluate(policyOf(definition), facts, now);
        const times = boundsByReference(definition, facts).filter((time) => time > now);
        for (const time of new Set(times)) {
          const pruned = prunedByReference(definition, facts, time);
          for (const { item, action, changesAt: itsChange } of verdicts) {
            if (itsChange !== null && itsChange <= time) continue;
            expect([nameOf(item), time, pruned.has(item)]).toEqual([nameOf(item), time, action === 'prune']);
          }
        }
        for (const { changesAt: itsChange } of verdicts) {
          if (itsChange === null) continue;
          expect(itsChange).toBeGreaterThan(now);
          expect(times).toContain(itsChange);
          expect(changesAt).toBeLessThanOrEqual(itsChange);
        }
      }),
      { numRuns: runs },
    );
  },
  timeoutMs,
);

test(
  'the time of a verdict is exactly when it changes, where neither a budget nor the last tag plays a part',
  () => {
    fc.assert(
      fc.property(policies, repositories, (definition, facts) => {
        fc.pre(definition.rails?.mayPruneLastTag === true);
        fc.pre(!(definition.rules ?? []).some(({ budget, action }) => budget !== undefined && action === 'prune'));
        for (const { item, action, changesAt } of evaluate(policyOf(definition), facts, now).verdicts) {
          if (changesAt === null) continue;
          expect(prunedByReference(definition, facts, changesAt).has(item)).toBe(action === 'keep');
        }
      }),
      { numRuns: runs },
    );
  },
  timeoutMs,
);

test('what a set frees is what it holds and nobody else does, and the parts add up to it', () => {
  const words = ['a', 'b', 'c', 'd', 'e', 'f'];
  const item = fc.subarray(words).map((own) => ({
    contents: own.map((word) => ({ digest: digestFor(word), sizeBytes: word.charCodeAt(0) })),
  }));
  fc.assert(
    fc.property(fc.array(item, { maxLength: 6 }), fc.array(item, { maxLength: 3 }), (set, others) => {
      const outside = (digest: string): number =>
        others.filter(({ contents }) => contents.some((content) => content.digest === digest)).length;
      for (let length = 0; length <= set.length; length += 1) {
        const stays = new Set(
          [...set.slice(length), ...others].flatMap(({ contents }) => contents.map(({ digest }) => digest)),
        );
        const goes = new Map(
          set
            .slice(0, length)
            .flatMap(({ contents }) => contents.map(({ digest, sizeBytes }) => [digest, sizeBytes] as const))
            .filter(([digest]) => !stays.has(digest)),
        );
        const sizeBytes = [...goes.values()].reduce((sum, size) => sum + size, 0);
        const parts = freedOneByOne(set, outside).slice(0, length);
        expect(parts.reduce((sum, part) => sum + part.sizeBytes, 0)).toBe(sizeBytes);
        if (length === set.length) expect(freedBytes(set, outside)).toEqual({ sizeBytes, blobs: goes.size });
      }
    }),
  );
});
