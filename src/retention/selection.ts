import { compare, parse, type SemVer } from 'semver';
import type { Item } from './facts.ts';
import type { Pattern } from './pattern.ts';
import type { Rule, SemverCriterion } from './policy.ts';

/** Names that are remembered for each policy. When there are more, it begins anew. */
const rememberedNames = 20_000;

/** What a version begins with. Nothing else is given to the parser, which is slow to refuse. */
const versionStart = /^v?\d+\.\d+\.\d/;

/** What a rule makes of the name of a tag, whatever else is true of it. */
export interface NameReading {
  /** What `groupBy` divides the tags by. */
  readonly group: string;
  /** What `semver` divides them by, within the group. */
  readonly versionGroup: string;
  /** Where the rule asks for versions. */
  readonly version: SemVer | undefined;
}

/** What each rule of a policy makes of a name, in order of the rules; undefined for a rule that is not about it. */
export type Readings = readonly (NameReading | undefined)[];

/**
 * Reads names for the rules of one policy. Patterns are matched once for each name, because a repository is looked at
 * again whenever one of its tags has changed.
 */
export class NameReader {
  readonly #rules: readonly Rule[];
  readonly #read = new Map<string, Readings>();
  readonly #untagged: Readings;

  constructor(rules: readonly Rule[]) {
    this.#rules = rules;
    this.#untagged = rules.map(({ selector }) => (selector.tagState === 'tagged' ? undefined : unnamed));
  }

  /** An item that follows another is selected by no rule. */
  read(item: Item): Readings {
    if (item.follows !== null) return [];
    if (item.kind === 'untagged') return this.#untagged;
    const known = this.#read.get(item.name);
    if (known !== undefined) return known;
    const readings = this.#rules.map((rule) => readingOf(rule, item.name));
    if (this.#read.size >= rememberedNames) this.#read.clear();
    this.#read.set(item.name, readings);
    return readings;
  }
}

/** Whether a rule selects an item whose name it is about. */
export function suits({ selector }: Rule, item: Item): boolean {
  const { labels, annotations, artifactType, mediaType, signed } = selector;
  return (
    (signed === undefined || signed === item.isSigned) &&
    (artifactType.length === 0 || (item.artifactType !== null && isOneOf(artifactType, item.artifactType))) &&
    (mediaType.length === 0 || isOneOf(mediaType, item.mediaType)) &&
    hasAll(labels, item.labels) &&
    hasAll(annotations, item.annotations)
  );
}

/** Whether a rule selects each item whose name it is about. */
export function suitsEach({ selector }: Rule): boolean {
  const { labels, annotations, artifactType, mediaType, signed } = selector;
  return signed === undefined && labels.size + annotations.size + artifactType.length + mediaType.length === 0;
}

/** The version that a tag names: `1.2.3`, `v1.2.3-rc.1`. Undefined for one that is not whole (`1.2`) or none at all. */
export function versionOf(name: string): SemVer | undefined {
  return versionStart.test(name) ? (parse(name) ?? undefined) : undefined;
}

/** The newer version first. */
export function newerFirst(one: SemVer, other: SemVer): number {
  return compare(other, one);
}

const unnamed: NameReading = { group: '', versionGroup: '', version: undefined };

function readingOf({ selector, criteria }: Rule, name: string): NameReading | undefined {
  if (selector.tagState === 'untagged') return undefined;
  if (selector.tags.length > 0 && !isOneOf(selector.tags, name)) return undefined;
  if (isOneOf(selector.exclude, name)) return undefined;
  const group = selector.groupBy === undefined ? '' : selector.groupBy.group(name);
  if (group === undefined) return undefined;
  if (criteria.semver === undefined) return group === '' ? unnamed : { ...unnamed, group };
  const version = versionOf(name);
  if (version === undefined || !isMeant(version, criteria.semver)) return undefined;
  return { group, versionGroup: `${group}/${partOf(version, criteria.semver)}`, version };
}

function isMeant({ prerelease }: SemVer, { prereleases }: SemverCriterion): boolean {
  switch (prereleases) {
    case 'include':
      return true;
    case 'exclude':
      return prerelease.length === 0;
    case 'only':
      return prerelease.length > 0;
  }
}

function partOf({ major, minor }: SemVer, { per }: SemverCriterion): string {
  switch (per) {
    case 'repository':
      return '';
    case 'major':
      return String(major);
    case 'minor':
      return `${major}.${minor}`;
  }
}

function isOneOf(patterns: readonly Pattern[], text: string): boolean {
  for (const pattern of patterns) if (pattern.matches(text)) return true;
  return false;
}

function hasAll(patterns: ReadonlyMap<string, Pattern>, texts: Readonly<Record<string, string>>): boolean {
  for (const [name, pattern] of patterns) {
    const text = Object.hasOwn(texts, name) ? texts[name] : undefined;
    if (text === undefined || !pattern.matches(text)) return false;
  }
  return true;
}
