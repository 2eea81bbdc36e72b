import { parseByteSize } from '../../src/config/byte-size.ts';
import { parseDuration } from '../../src/config/duration.ts';
import type { PolicyDefinition, RuleDefinition } from '../../src/retention/definition.ts';
import type { Item, RepositoryFacts } from '../../src/retention/facts.ts';

// docs/retention.md once more, sentence by sentence, as slowly as it likes. It shares no code with src/retention/ but
// the types, and takes its policies as they are written.

/** What is pruned of a repository at a time. */
export function prunedByReference(policy: PolicyDefinition, facts: RepositoryFacts, now: number): ReadonlySet<Item> {
  const items: readonly Item[] = [...facts.tags, ...facts.untagged];
  const rules = policy.rules ?? [];
  const keepingRules = rules.filter(({ action }) => action === 'keep');
  const pruningRules = rules.filter(({ action }) => action === 'prune');

  const mustStay = (item: Item): boolean =>
    item.isPinned ||
    item.follows !== null ||
    item.pushedAt === null ||
    isInGrace(policy, item, now) ||
    keepingRules.some((rule) => applies(rule, item, items, now, () => false));

  const goes = (item: Item): boolean => {
    if (mustStay(item)) return false;
    return policy.default === 'prune' || pruningRules.some((rule) => applies(rule, item, items, now, mustStay));
  };

  const pruned = new Set(items.filter(goes));
  const tags = facts.tags.filter(({ follows }) => follows === null);
  const [latest] = tags.toSorted((one, other) => compare(born(other), born(one)) || compare(other.name, one.name));
  if (policy.rails?.mayPruneLastTag !== true && latest !== undefined && tags.every((tag) => pruned.has(tag))) {
    pruned.delete(latest);
  }
  return pruned;
}

/** All times at which something about an item may change by a policy, and no others. */
export function boundsByReference(policy: PolicyDefinition, facts: RepositoryFacts): readonly number[] {
  const lengths = [policy.rails?.grace ?? '24h', policy.rails?.untaggedGrace ?? '30d'].concat(
    (policy.rules ?? []).flatMap(({ pushedWithin, pulledWithin, taggedWithin, olderThan, notPulledFor }) =>
      [pushedWithin, pulledWithin, taggedWithin, olderThan, notPulledFor].filter((text) => text !== undefined),
    ),
  );
  const times = [...facts.tags, ...facts.untagged].flatMap((item) => [
    item.pushedAt,
    item.taggedAt,
    item.pulledAt,
    item.kind === 'untagged' ? item.untaggedAt : null,
  ]);
  return times.flatMap((time) => (time === null ? [] : lengths.map((length) => time + ms(length))));
}

function isInGrace({ rails }: PolicyDefinition, item: Item, now: number): boolean {
  if (now - born(item) < ms(rails?.grace ?? '24h')) return true;
  if (item.kind === 'tag') return false;
  return now - Math.max(used(item), item.untaggedAt ?? -Infinity) < ms(rails?.untaggedGrace ?? '30d');
}

function applies(
  rule: RuleDefinition,
  item: Item,
  items: readonly Item[],
  now: number,
  mustStay: (item: Item) => boolean,
): boolean {
  if (!selects(rule, item)) return false;
  const selected = items.filter((one) => selects(rule, one));
  const unknown = rule.action === 'keep';
  const age = (time: number | null, test: (age: number) => boolean): boolean =>
    time === null ? unknown : test(now - time);
  const usedAt = item.pushedAt === null ? null : used(item);
  const bornAt = item.pushedAt === null ? null : born(item);
  return [
    rule.mostRecentlyPushedCount === undefined ||
      isAmongLatest(rule, item, selected, rule.mostRecentlyPushedCount, ({ pushedAt }) => pushedAt ?? 0),
    rule.mostRecentlyPulledCount === undefined ||
      isAmongLatest(rule, item, selected, rule.mostRecentlyPulledCount, used),
    rule.semver === undefined || isAmongNewest(rule, rule.semver, item, selected),
    rule.pushedWithin === undefined || age(item.pushedAt, (passed) => passed < ms(rule.pushedWithin)),
    rule.pulledWithin === undefined || age(usedAt, (passed) => passed < ms(rule.pulledWithin)),
    rule.taggedWithin === undefined || age(item.taggedAt, (passed) => passed < ms(rule.taggedWithin)),
    rule.olderThan === undefined || age(bornAt, (passed) => passed >= ms(rule.olderThan)),
    rule.notPulledFor === undefined || age(usedAt, (passed) => passed >= ms(rule.notPulledFor)),
    rule.largerThan === undefined || (item.sizeBytes === null ? unknown : item.sizeBytes > bytes(rule.largerThan)),
    rule.budget === undefined || budgetHolds(rule, bytes(rule.budget), item, selected, mustStay),
  ].every(Boolean);
}

function selects(rule: RuleDefinition, item: Item): boolean {
  const { tagState = 'tagged', signed } = rule;
  if (item.follows !== null) return false;
  if (tagState !== 'any' && tagState !== (item.kind === 'tag' ? 'tagged' : 'untagged')) return false;
  if (signed !== undefined && item.isSigned !== signed) return false;
  if (Object.entries(rule.labels ?? {}).some(([label, value]) => item.labels[label] !== value)) return false;
  if (item.kind === 'untagged') return true;
  const patterns = [rule.tags ?? '*'].flat();
  if (!patterns.some((pattern) => matches(pattern, item.name))) return false;
  if ([rule.exclude ?? []].flat().some((pattern) => matches(pattern, item.name))) return false;
  if (rule.groupBy !== undefined && groupOf(rule, item) === undefined) return false;
  return rule.semver === undefined || isMeant(rule.semver, item.name);
}

/** Globs without slashes, and expressions that both kinds of engine read alike. */
function matches(pattern: string, text: string): boolean {
  const source = pattern.startsWith('/')
    ? pattern.slice(1, -1)
    : pattern.replaceAll('.', '\\.').replaceAll(/\*+/g, '.*').replaceAll('?', '.');
  return new RegExp(`^(?:${source})$`).test(text);
}

function groupOf({ groupBy = '/()/' }: RuleDefinition, item: Item): string | undefined {
  return item.kind === 'tag' ? new RegExp(`^(?:${groupBy.slice(1, -1)})$`).exec(item.name)?.[1] : '';
}

/** Fewer than so many of the same group and kind come before it. */
function isAmongLatest(
  rule: RuleDefinition,
  item: Item,
  selected: readonly Item[],
  count: number,
  time: (item: Item) => number,
): boolean {
  if (item.pushedAt === null) return true;
  const before = selected.filter(
    (other) =>
      other.pushedAt !== null &&
      other.kind === item.kind &&
      (rule.groupBy === undefined || groupOf(rule, other) === groupOf(rule, item)) &&
      (time(other) > time(item) || (time(other) === time(item) && name(other) > name(item))),
  );
  return before.length < count;
}

type Semver = NonNullable<RuleDefinition['semver']>;

interface Version {
  readonly numbers: readonly number[];
  /** The number of a release candidate, or infinite for a release: the tests have no other pre-releases. */
  readonly candidate: number;
}

function versionOf(tag: string): Version | undefined {
  const parts = /^v?(\d+)\.(\d+)\.(\d+)(?:-rc\.(\d+))?$/.exec(tag);
  if (parts === null) return undefined;
  return { numbers: parts.slice(1, 4).map(Number), candidate: parts[4] === undefined ? Infinity : Number(parts[4]) };
}

function isMeant({ prereleases = 'exclude' }: Semver, tag: string): boolean {
  const version = versionOf(tag);
  if (version === undefined) return false;
  return prereleases === 'include' || (prereleases === 'only') === Number.isFinite(version.candidate);
}

/** Fewer than so many different versions of the same part are newer. */
function isAmongNewest(
  rule: RuleDefinition,
  { newest, per = 'repository' }: Semver,
  item: Item,
  selected: readonly Item[],
): boolean {
  const own = versionOf(name(item));
  if (own === undefined) return false;
  const depth = { repository: 0, major: 1, minor: 2 }[per];
  const newer = selected.flatMap((other) => {
    const version = versionOf(name(other));
    if (version === undefined || (rule.groupBy !== undefined && groupOf(rule, other) !== groupOf(rule, item)))
      return [];
    if (version.numbers.slice(0, depth).join('.') !== own.numbers.slice(0, depth).join('.')) return [];
    const text = JSON.stringify([version.numbers, String(version.candidate)]);
    return compareVersions(version, own) > 0 ? [text] : [];
  });
  return new Set(newer).size < newest;
}

function compareVersions(one: Version, other: Version): number {
  for (const [index, number] of one.numbers.entries()) {
    if (number !== other.numbers[index]) return number - (other.numbers[index] ?? 0);
  }
  return compare(one.candidate, other.candidate);
}

/** It must stay, or it fits together with all that must stay and all that was used after it. */
function budgetHolds(
  { action }: RuleDefinition,
  budgetBytes: number,
  item: Item,
  selected: readonly Item[],
  mustStay: (item: Item) => boolean,
): boolean {
  const isFirst = (one: Item): boolean => one.pushedAt === null || mustStay(one);
  if (isFirst(item)) return action === 'keep';
  const together = selected.filter(
    (other) => isFirst(other) || used(other) > used(item) || (used(other) === used(item) && name(other) >= name(item)),
  );
  const sizes = new Map(
    together.flatMap(({ contents }) => contents).map(({ digest, sizeBytes }) => [digest, sizeBytes]),
  );
  const fits = [...sizes.values()].reduce((sum, size) => sum + size, 0) <= budgetBytes;
  return action === 'keep' ? fits : !fits;
}

function born({ pushedAt, taggedAt }: Item): number {
  return Math.max(pushedAt ?? -Infinity, taggedAt ?? -Infinity);
}

function used(item: Item): number {
  return Math.max(born(item), item.pulledAt ?? -Infinity);
}

function name(item: Item): string {
  return item.kind === 'tag' ? item.name : item.digest;
}

function compare<T extends number | string>(one: T, other: T): number {
  if (one === other) return 0;
  return one < other ? -1 : 1;
}

function ms(text: string | undefined): number {
  const parsed = parseDuration(text ?? '');
  if (!parsed.ok) throw new Error(parsed.problem);
  return parsed.ms;
}

function bytes(text: string): number {
  const parsed = parseByteSize(text);
  if (!parsed.ok) throw new Error(parsed.problem);
  return parsed.sizeBytes;
}
