import type { Digest } from '../../src/oci/digest.ts';
import type { TagName } from '../../src/oci/names.ts';
import type { PolicyDefinition } from '../../src/retention/definition.ts';
import type { Content, Item, RepositoryFacts } from '../../src/retention/facts.ts';
import type { Happening, ManifestPast, RepositoryHistory } from '../../src/retention/simulate/history.ts';
import { prunedByReference } from './naive-reference.ts';

// The section on simulating of docs/retention.md once more, as slowly as it likes: it looks at everything at each step.
// It shares no code with src/retention/ but the types.

const day = 86_400_000;

export interface NaiveRequest {
  readonly policy: PolicyDefinition;
  /** In percent, as they stand in the policy. */
  readonly shares: { readonly tags: number; readonly bytes: number };
  readonly since: number;
  readonly now: number;
  readonly lookEveryMs: number;
}

interface NaiveTag {
  readonly name: TagName;
  readonly digest: Digest;
  readonly taggedAt: number;
  pushedAt: number;
}

/** All that is true of a repository at a time; what holds what is found out by looking. */
class NaiveWorld {
  readonly tags = new Map<TagName, NaiveTag>();
  readonly pushedAt = new Map<Digest, number>();
  readonly pulledAt = new Map<Digest, number>();
  /** Here, and has had a tag since it came. */
  readonly everTagged = new Set<Digest>();
  /** Here by itself. */
  readonly waiting = new Set<Digest>();
  here: ReadonlySet<Digest> = new Set();
  readonly #history: RepositoryHistory;

  constructor(history: RepositoryHistory) {
    this.#history = history;
  }

  past(digest: Digest): ManifestPast {
    const past = this.#history.manifests.get(digest);
    if (past === undefined) throw new Error(`${digest} is unknown`);
    return past;
  }

  happen({ what, at, tag, digest }: Happening): void {
    const isThere = tag === undefined ? this.here.has(digest) : this.tags.get(tag)?.digest === digest;
    if (what === 'asked' && !isThere) return;
    if (what !== 'removed') {
      this.pushedAt.set(digest, at);
      if (tag === undefined) {
        if (!this.everTagged.has(digest)) this.waiting.add(digest);
      } else {
        const before = this.tags.get(tag);
        if (before?.digest === digest) before.pushedAt = at;
        else this.tags.set(tag, { name: tag, digest, taggedAt: at, pushedAt: at });
        this.everTagged.add(digest);
        this.waiting.delete(digest);
      }
    } else if (tag === undefined) this.removeManifest(digest);
    else this.tags.delete(tag);
    this.settle();
  }

  removeManifest(digest: Digest): void {
    for (const tag of this.tags.values()) if (tag.digest === digest) this.tags.delete(tag.name);
    this.settle(digest);
  }

  /** Takes away what nothing holds, and what that held alone; until nothing changes. */
  settle(removed?: Digest): void {
    for (let without = removed; ; without = undefined) {
      const before = this.here;
      const roots = [...this.tags.values()].map(({ digest }) => digest).concat([...this.waiting]);
      for (const past of this.#history.manifests.values()) {
        if (before.has(past.digest) && (past.isPinned || this.#history.isPinned)) roots.push(past.digest);
      }
      const here = new Set(roots.filter((digest) => digest !== without));
      for (const digest of here) {
        // A push brings what it lists; what is about it must have been here.
        for (const child of this.past(digest).children) if (this.#isKnown(child)) here.add(child);
        for (const past of this.#history.manifests.values()) {
          if (past.subject === digest && before.has(past.digest) && past.digest !== without) here.add(past.digest);
        }
      }
      if (without !== undefined) here.delete(without);
      this.here = here;
      let isSettled = without === undefined;
      for (const gone of before) {
        if (here.has(gone)) continue;
        isSettled = false;
        this.everTagged.delete(gone);
        this.waiting.delete(gone);
        this.pulledAt.delete(gone);
        const { children } = this.past(gone);
        for (const past of this.#history.manifests.values()) {
          if (children.includes(past.digest) || past.subject === gone) this.waiting.delete(past.digest);
        }
        for (const tag of this.tags.values()) {
          if (aboutOf(tag.name) !== gone || this.#history.pinnedTags.has(tag.name)) continue;
          this.tags.delete(tag.name);
          this.waiting.delete(tag.digest);
        }
      }
      if (isSettled) return;
    }
  }

  #isKnown(digest: Digest): boolean {
    return this.#history.manifests.has(digest);
  }

  contents(from: Iterable<Digest> = this.here): ReadonlyMap<Digest, number> {
    const sizes = new Map<Digest, number>();
    for (const digest of from) {
      for (const content of this.past(digest).blobs) sizes.set(content.digest, content.sizeBytes);
    }
    return sizes;
  }

  facts(): RepositoryFacts {
    const tags = [...this.tags.values()]
      .filter(({ name }) => !this.here.has(aboutOf(name) ?? none))
      .map(({ name, digest, taggedAt, pushedAt }) =>
        Object.assign(
          { kind: 'tag' as const, name, taggedAt, pushedAt },
          this.#itemFacts(digest, this.#history.pinnedTags.has(name)),
        ),
      );
    const untagged = [...this.waiting]
      .filter((digest) => {
        const isListed = [...this.here].some((other) => this.past(other).children.includes(digest));
        return !isListed && !this.here.has(this.past(digest).subject ?? none);
      })
      .map((digest) =>
        Object.assign(
          { kind: 'untagged' as const, untaggedAt: null, taggedAt: null, pushedAt: this.pushedAt.get(digest) ?? 0 },
          this.#itemFacts(digest, false),
        ),
      );
    return { tags, untagged };
  }

  #itemFacts(digest: Digest, isPinned: boolean) {
    const { mediaType, artifactType, labels, annotations, isPinned: isManifestPinned } = this.past(digest);
    const listed = this.#below(digest, false);
    const pulls = [...listed].flatMap((one) => this.pulledAt.get(one) ?? []);
    const contents = [...this.contents(this.#below(digest, true))].map(([content, sizeBytes]): Content => ({
      digest: asDigest(content),
      sizeBytes,
    }));
    const signed =
      [...this.here].some(
        (one) => this.past(one).subject === digest && this.past(one).artifactType === signatureType,
      ) || [...this.tags.keys()].some((name) => aboutOf(name) === digest && name.endsWith('.sig'));
    return {
      digest,
      mediaType,
      artifactType,
      labels,
      annotations,
      isSigned: signed,
      pulledAt: pulls.length === 0 ? null : Math.max(...pulls),
      contents,
      sizeBytes: sum(contents.map((content) => content.sizeBytes)),
      isPinned: isPinned || isManifestPinned || this.#history.isPinned,
      follows: null,
    };
  }

  #below(digest: Digest, withReferrers: boolean): ReadonlySet<Digest> {
    const below = new Set([digest]);
    for (const one of below) {
      for (const child of this.past(one).children) if (this.here.has(child)) below.add(child);
      if (!withReferrers) continue;
      for (const other of this.here) if (this.past(other).subject === one) below.add(other);
      for (const tag of this.tags.values()) if (aboutOf(tag.name) === one) below.add(tag.digest);
    }
    return below;
  }
}

export const signatureType = 'application/vnd.cncf.notary.signature';
const none = asDigest('');

export interface NaiveBroken {
  readonly name: string;
  readonly goneAt: number;
  pulls: number;
  readonly days: number[];
}

export interface NaiveOutcome {
  readonly prunings: readonly { readonly at: number; readonly name: string }[];
  readonly freedBytes: number;
  readonly broken: readonly NaiveBroken[];
  /** At each time at which something may have changed: what is held, and what would be. */
  readonly held: readonly {
    readonly at: number;
    readonly was: ReadonlyMap<Digest, number>;
    readonly wouldBe: ReadonlyMap<Digest, number>;
  }[];
}

/** Replays one repository. */
export function replayNaively(
  history: RepositoryHistory,
  request: NaiveRequest | undefined,
  span: NaiveSpan,
): NaiveOutcome {
  const { since, now, lookEveryMs } = span;
  const [was, wouldBe] = [new NaiveWorld(history), new NaiveWorld(history)];
  const prunings: { at: number; name: string; isTag: boolean; bytes: number }[] = [];
  const held: { at: number; was: ReadonlyMap<Digest, number>; wouldBe: ReadonlyMap<Digest, number> }[] = [];
  const broken = new Map<string, NaiveBroken>();
  /** When a tag or manifest went that was still there in reality. */
  const goneAt = new Map<string, number>();

  const noteGone = (at: number, before: ReadonlySet<string>): void => {
    for (const name of before) {
      if (namesIn(wouldBe).has(name)) continue;
      if (namesIn(was).has(name)) goneAt.set(name, at);
      else goneAt.delete(name);
    }
  };

  const look = (at: number, { policy, shares }: NaiveRequest): void => {
    const facts = wouldBe.facts();
    const pruned = [...prunedByReference(policy, facts, at)].toSorted(
      (one, other) => used(one) - used(other) || (nameOf(one) < nameOf(other) ? -1 : 1),
    );
    const lately = prunings.filter((one) => one.at > at - day);
    const most = {
      tags: part(shares.tags, facts.tags.length + lately.filter(({ isTag }) => isTag).length, 1),
      bytes: part(shares.bytes, sum(wouldBe.contents().values()) + sum(lately.map(({ bytes }) => bytes)), 0),
    };
    for (const item of pruned) {
      const isTag = item.kind === 'tag';
      const before = new Set(namesIn(wouldBe));
      const copy = copyOf(wouldBe, history);
      removeItem(copy, item);
      const bytes = sum(wouldBe.contents().values()) - sum(copy.contents().values());
      const today = prunings.filter((one) => one.at > at - day);
      const tags = today.filter((one) => one.isTag).length + (isTag ? 1 : 0);
      const freed = sum(today.map((one) => one.bytes));
      if (isTag && tags > most.tags) return;
      if (bytes > 0 && freed + bytes > most.bytes && !(shares.bytes > 0 && freed === 0)) return;
      removeItem(wouldBe, item);
      prunings.push({ at, name: nameOf(item), isTag, bytes });
      noteGone(at, before);
    }
  };

  const events = [
    ...history.happenings.map((happening) => ({ at: happening.at, order: 0, happening, pulls: undefined })),
    ...history.pulls.map((pulls) => ({ at: pulls.lastAt, order: 1, happening: undefined, pulls })),
    ...looksOf(since, now, lookEveryMs).map((at) => ({ at, order: 2, happening: undefined, pulls: undefined })),
    { at: since, order: -1, happening: undefined, pulls: undefined },
  ].toSorted((one, other) => one.at - other.at || one.order - other.order);
  for (const { at, order, happening, pulls } of events) {
    if (at > now) break;
    if (happening !== undefined) {
      const before = new Set(namesIn(wouldBe));
      was.happen(happening);
      wouldBe.happen(happening);
      noteGone(at, before);
    } else if (pulls !== undefined) {
      const name = pulls.tag ?? pulls.digest;
      if (namesIn(wouldBe).has(name)) {
        if (wouldBe.here.has(pulls.digest)) {
          wouldBe.pulledAt.set(pulls.digest, Math.max(at, wouldBe.pulledAt.get(pulls.digest) ?? at));
        }
      } else {
        const gone = goneAt.get(name);
        if (gone !== undefined && pulls.pulls > 0) {
          const key = `${name} ${gone}`;
          const known = broken.get(key) ?? { name, goneAt: gone, pulls: 0, days: [] };
          known.pulls += pulls.pulls;
          const onDay = Math.floor(at / day);
          if (!known.days.includes(onDay)) known.days.push(onDay);
          broken.set(key, known);
        }
      }
    } else if (order === 2 && request !== undefined && !history.isPinned) look(at, request);
    if (at >= since) held.push({ at, was: was.contents(), wouldBe: wouldBe.contents() });
  }
  return {
    prunings: prunings.map(({ at, name }) => ({ at, name })),
    freedBytes: sum(prunings.map(({ bytes }) => bytes)),
    broken: [...broken.values()],
    held,
  };
}

export type NaiveSpan = Pick<NaiveRequest, 'since' | 'now' | 'lookEveryMs'>;

/** By day, of several repositories: what is freed, what is held at its end, and what would be. */
export function naiveDays(outcomes: readonly NaiveOutcome[], { since, now }: NaiveSpan) {
  const times = [...new Set(outcomes.flatMap(({ held }) => held.map(({ at }) => at)))].toSorted((a, b) => a - b);
  const days = Array.from({ length: Math.floor(now / day) - Math.floor(since / day) + 1 }, (_, index) => ({
    day: Math.floor(since / day) + index,
    freedBytes: 0,
    freedBlobs: 0,
    heldBytes: 0,
    wouldHoldBytes: 0,
    pruned: 0,
  }));
  for (const { at } of outcomes.flatMap(({ prunings }) => prunings)) {
    const figures = days[Math.floor(at / day) - Math.floor(since / day)];
    if (figures !== undefined) figures.pruned += 1;
  }
  let missing = new Set<Digest>();
  for (const at of times) {
    const last = outcomes.flatMap(({ held }) => held.findLast((one) => one.at <= at) ?? []);
    const was = new Map(last.flatMap((one) => Array.from(one.was)));
    const wouldBe = new Map(last.flatMap((one) => Array.from(one.wouldBe)));
    const nowMissing = new Set<Digest>();
    const place = Math.floor(at / day) - Math.floor(since / day);
    for (const [digest, sizeBytes] of was) {
      if (wouldBe.has(digest)) continue;
      nowMissing.add(digest);
      const figures = days[place];
      if (missing.has(digest) || figures === undefined) continue;
      figures.freedBytes += sizeBytes;
      figures.freedBlobs += 1;
    }
    missing = nowMissing;
    for (const figures of days.slice(place)) {
      figures.heldBytes = sum(was.values());
      figures.wouldHoldBytes = sum(wouldBe.values());
    }
  }
  return days;
}

function looksOf(since: number, now: number, everyMs: number): readonly number[] {
  const looks: number[] = [];
  for (let at = Math.ceil(since / everyMs) * everyMs; at <= now; at += everyMs) looks.push(at);
  return looks;
}

function removeItem(world: NaiveWorld, item: Item): void {
  if (item.kind === 'untagged') return world.removeManifest(item.digest);
  world.tags.delete(item.name);
  world.settle();
}

function copyOf(world: NaiveWorld, history: RepositoryHistory): NaiveWorld {
  const copy = new NaiveWorld(history);
  for (const [name, tag] of world.tags) copy.tags.set(name, { ...tag });
  for (const digest of world.everTagged) copy.everTagged.add(digest);
  for (const digest of world.waiting) copy.waiting.add(digest);
  copy.here = world.here;
  return copy;
}

function namesIn(world: NaiveWorld): ReadonlySet<string> {
  return new Set<string>([...world.tags.keys(), ...world.here]);
}

function aboutOf(name: TagName): Digest | undefined {
  const hex = /^sha256-([0-9a-f]{64})(?:\.(?:sig|att|sbom))?$/.exec(name)?.[1];
  return hex === undefined ? undefined : asDigest(`sha256:${hex}`);
}

function asDigest(text: string): Digest {
  if (!isDigest(text)) throw new Error('never');
  return text;
}

function isDigest(text: string): text is Digest {
  return typeof text === 'string';
}

function used({ pushedAt, taggedAt, pulledAt }: Item): number {
  return Math.max(pushedAt ?? 0, taggedAt ?? 0, pulledAt ?? 0);
}

function nameOf(item: Item): string {
  return item.kind === 'tag' ? item.name : item.digest;
}

function part(percent: number, whole: number, least: number): number {
  return percent === 0 ? 0 : Math.max(least, Math.floor((percent * whole) / 100));
}

function sum(numbers: Iterable<number>): number {
  let result = 0;
  for (const number of numbers) result += number;
  return result;
}
