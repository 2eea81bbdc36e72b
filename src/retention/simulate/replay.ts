import type { Digest } from '../../oci/digest.ts';
import type { TagName } from '../../oci/names.ts';
import type { Verdict } from '../evaluate.ts';
import type { Item } from '../facts.ts';
import type { Policy } from '../policy.ts';
import { inOrderOfPruning, withinRails } from '../rails.ts';
import { asItWas, asItWouldBe, type HeldContents } from './held-contents.ts';
import type { DayOfPulls, Happening, RepositoryHistory } from './history.ts';
import { IncrementalJudge, isIncremental } from './incremental-judge.ts';
import type { Judge } from './judge.ts';
import { WholeJudge } from './whole-judge.ts';
import { type Going, RepositoryContents, World, type WorldManifest, type WorldTag } from './world.ts';

const dayMs = 86_400_000;
/** Steps after which others may have their turn. */
const stepsAtOnce = 200;

/** From when until when is replayed, and how often it is looked whether something is to be pruned, in ms. */
export interface Span {
  readonly since: number;
  readonly now: number;
  readonly lookEveryMs: number;
}

/** Something that the policy would have pruned. */
export interface Pruning {
  readonly at: number;
  readonly verdict: Verdict;
}

/** Pulls that would have failed, of one thing that was gone. */
export interface BrokenPulls {
  readonly repo: string;
  readonly policy: Policy;
  /** Undefined where it was pulled by its digest. */
  readonly tag: TagName | undefined;
  readonly digest: Digest;
  /** When it would have gone. */
  readonly goneAt: number;
  /** By what: the tag or manifest that was pruned, which may be another that held it. */
  readonly pruning: Pruning;
  readonly pulls: number;
  /** By day, in days since 1970, in their order. */
  readonly days: readonly { readonly day: number; readonly pulls: number }[];
}

/** What became of a repository. */
export interface RepositoryOutcome {
  readonly prunedTags: number;
  readonly prunedManifests: number;
  /** Would this repository be the only one. */
  readonly freedBytes: number;
  /** Tags and manifests that were pruned, by day, in days since 1970. */
  readonly prunedByDay: ReadonlyMap<number, number>;
  readonly broken: readonly BrokenPulls[];
}

/**
 * Replays a repository as it was, and as it would have been under a policy. It is as if the pruner looked at it at each
 * multiple of `lookEveryMs`; looks that can find nothing new are left out. Yields now and then, so that others have their
 * turn.
 *
 * @param policy undefined where nothing is pruned: then it only tells what is held
 * @param contents is told what is held, from `since` on
 */
export function* replay(
  history: RepositoryHistory,
  policy: Policy | undefined,
  span: Span,
  contents: HeldContents,
): Generator<undefined, RepositoryOutcome, undefined> {
  return yield* new Replay(history, policy, span, contents).run();
}

class Replay {
  readonly #history: RepositoryHistory;
  readonly #policy: Policy | undefined;
  readonly #span: Span;
  readonly #contents: RepositoryContents;
  readonly #was: World;
  readonly #wouldBe: World;
  readonly #judge: Judge | undefined;
  /** What may be judged otherwise since something happened. */
  readonly #touched = new Set<WorldTag | WorldManifest>();
  /** Prunings of the last day, and what they freed. */
  readonly #lately: { readonly at: number; readonly isTag: boolean; readonly freedBytes: number }[] = [];
  #prunedLately = { tags: 0, bytes: 0 };
  #lookedAt = -Infinity;
  /** When the rails may let more go; infinite where nothing waits. */
  #railsAt = Infinity;
  /** What is being pruned. */
  #pruning: Pruning | undefined;
  readonly #goneTags = new Map<TagName, Gone>();
  readonly #goneManifests = new Map<Digest, Gone>();
  /** The last pruning of what led to a manifest. */
  readonly #lastPruning = new Map<WorldManifest, Pruning>();
  readonly #broken = new Map<Gone, BrokenCount[]>();
  readonly #outcome = { prunedTags: 0, prunedManifests: 0, freedBytes: 0 };
  readonly #prunedByDay = new Map<number, number>();

  constructor(history: RepositoryHistory, policy: Policy | undefined, span: Span, contents: HeldContents) {
    this.#history = history;
    this.#policy = policy;
    this.#span = span;
    this.#contents = new RepositoryContents(contents);
    this.#was = new World(history, { which: asItWas, contents: this.#contents });
    this.#judge = policy === undefined || history.isPinned ? undefined : judgeOf(policy);
    this.#wouldBe = new World(history, {
      which: asItWouldBe,
      contents: this.#contents,
      observer: {
        touched: (one) => void this.#touched.add(one),
        left: (going, at) => this.#left(going, at),
      },
    });
  }

  *run(): Generator<undefined, RepositoryOutcome, undefined> {
    const { since, now } = this.#span;
    const { happenings, pulls } = this.#history;
    let [nextHappening, nextPulls, steps] = [0, 0, 0];
    let isTold = false;
    for (;;) {
      const happening = happenings[nextHappening];
      const day = pulls[nextPulls];
      const at = Math.min(happening?.at ?? Infinity, day?.lastAt ?? Infinity);
      if (!isTold && at >= since) {
        this.#tell();
        isTold = true;
      }
      const lookAt = isTold ? this.#nextLookAt() : Infinity;
      if (Math.min(at, lookAt) > now) break;
      if (lookAt < at) this.#look(lookAt);
      else if (happening !== undefined && happening.at === at) {
        nextHappening += 1;
        this.#happen(happening);
      } else if (day !== undefined) {
        nextPulls += 1;
        this.#pull(day);
      }
      steps += 1;
      if (steps % stepsAtOnce === 0) yield;
    }
    return { ...this.#outcome, prunedByDay: this.#prunedByDay, broken: this.#brokenPulls() };
  }

  /** From here on it is as if there was a policy, and what is held is told. */
  #tell(): void {
    this.#contents.tellFrom(this.#span.since);
    this.#was.isTold = true;
    this.#wouldBe.isTold = true;
    this.#update(this.#span.since);
  }

  #happen({ what, at, tag, digest }: Happening): void {
    for (const world of [this.#was, this.#wouldBe]) {
      if (what === 'pushed') world.push(at, tag, digest);
      else if (what === 'asked') world.ask(at, tag, digest);
      else if (tag !== undefined) world.removeTag(at, tag);
      else world.removeManifest(at, digest);
    }
    if (at < this.#span.since) return;
    this.#update(at);
    this.#judge?.happened(at);
  }

  #pull({ digest, tag, pulls, lastAt }: DayOfPulls): void {
    const isThere = tag === undefined ? this.#wouldBe.manifest(digest)?.isThere === true : this.#wouldBe.tags.has(tag);
    if (isThere) {
      this.#wouldBe.pull(lastAt, digest);
      if (lastAt >= this.#span.since) this.#update(lastAt);
      return;
    }
    const gone = tag === undefined ? this.#goneManifests.get(digest) : this.#goneTags.get(tag);
    if (gone === undefined || pulls === 0) return;
    const counts = this.#broken.get(gone);
    const count = { digest, tag, pulls, day: Math.floor(lastAt / dayMs) };
    if (counts === undefined) this.#broken.set(gone, [count]);
    else counts.push(count);
  }

  /** Tells the judge what has changed. What is gone first: another may have its name by now. */
  #update(at: number): void {
    if (this.#touched.size === 0) return;
    const here: { readonly one: WorldTag | WorldManifest; readonly item: Item }[] = [];
    for (const one of this.#touched) {
      const item = this.#judge === undefined ? undefined : this.#wouldBe.itemOf(one);
      if (item === undefined) this.#judge?.update(one, undefined, at);
      else here.push({ one, item });
    }
    for (const { one, item } of here) this.#judge?.update(one, item, at);
    this.#touched.clear();
  }

  #nextLookAt(): number {
    const { since, lookEveryMs } = this.#span;
    const dueAt = Math.min(this.#judge?.dueAt ?? Infinity, this.#railsAt);
    if (dueAt === Infinity) return Infinity;
    return Math.ceil(Math.max(dueAt, since, this.#lookedAt + 1) / lookEveryMs) * lookEveryMs;
  }

  #look(at: number): void {
    const [judge, policy] = [this.#judge, this.#policy];
    if (judge === undefined || policy === undefined) return;
    const tags = judge.tagCount;
    const order = inOrderOfPruning(judge.look(at));
    this.#lookedAt = at;
    this.#forgetPruned(at - dayMs);
    this.#railsAt = Infinity;
    let prunedTags = 0;
    for (const verdict of order) {
      const going = this.#goingWith(verdict);
      if (going === undefined) continue;
      const isTag = verdict.item.kind === 'tag';
      const freesBytes = this.#wouldBe.freedBytes(going);
      const day = {
        tags: tags - prunedTags,
        sizeBytes: this.#wouldBe.sizeBytes,
        prunedTags: this.#prunedLately.tags,
        prunedBytes: this.#prunedLately.bytes,
      };
      if (withinRails(policy.rails, day, [{ isTag, freesBytes }]).waits.length > 0) {
        const [first] = this.#lately;
        this.#railsAt = first === undefined ? Infinity : first.at + dayMs;
        break;
      }
      this.#prune({ at, verdict: { ...verdict, item: withoutContents(verdict.item) } }, going);
      this.#lately.push({ at, isTag, freedBytes: freesBytes });
      this.#prunedLately.bytes += freesBytes;
      this.#outcome.freedBytes += freesBytes;
      if (!isTag) continue;
      this.#prunedLately.tags += 1;
      prunedTags += 1;
    }
    if (this.#touched.size === 0) return;
    this.#update(at);
    judge.happened(at);
  }

  #forgetPruned(until: number): void {
    for (let [first] = this.#lately; first !== undefined && first.at <= until; [first] = this.#lately) {
      this.#lately.shift();
      this.#prunedLately.bytes -= first.freedBytes;
      if (first.isTag) this.#prunedLately.tags -= 1;
    }
  }

  #goingWith({ item }: Verdict): Going | undefined {
    if (item.kind === 'tag') {
      const tag = this.#wouldBe.tags.get(item.name);
      return tag === undefined ? undefined : this.#wouldBe.goingWith(tag);
    }
    const manifest = this.#wouldBe.manifest(item.digest);
    return manifest?.isThere === true ? this.#wouldBe.goingWithManifest(manifest) : undefined;
  }

  #prune(pruning: Pruning, going: Going): void {
    for (const { manifest } of going.tags) this.#lastPruning.set(manifest, pruning);
    for (const manifest of going.manifests) this.#lastPruning.set(manifest, pruning);
    for (const manifest of going.released) this.#lastPruning.set(manifest, pruning);
    this.#pruning = pruning;
    this.#wouldBe.remove(pruning.at, going);
    this.#pruning = undefined;
    this.#outcome[pruning.verdict.item.kind === 'tag' ? 'prunedTags' : 'prunedManifests'] += 1;
    const day = Math.floor(pruning.at / dayMs);
    this.#prunedByDay.set(day, (this.#prunedByDay.get(day) ?? 0) + 1);
  }

  /** What is gone now, though it was still there in reality, is gone because something was pruned, now or before. */
  #left({ tags, manifests }: Going, at: number): void {
    for (const { name, manifest, about } of tags) {
      const isStillThere = this.#was.tags.has(name) && !this.#wouldBe.tags.has(name);
      const pruning = isStillThere ? (this.#pruning ?? this.#lastPruningAbove(manifest, about)) : undefined;
      if (pruning !== undefined) this.#goneTags.set(name, { at, pruning });
      else this.#goneTags.delete(name);
    }
    for (const manifest of manifests) {
      const { digest } = manifest.past;
      const isStillThere = this.#was.manifest(digest)?.isThere === true;
      const pruning = isStillThere ? (this.#pruning ?? this.#lastPruningAbove(manifest)) : undefined;
      if (pruning !== undefined) this.#goneManifests.set(digest, { at, pruning });
      else this.#goneManifests.delete(digest);
    }
  }

  #lastPruningAbove(...manifests: readonly (WorldManifest | undefined)[]): Pruning | undefined {
    let last: Pruning | undefined;
    const above = new Set(manifests.filter((manifest) => manifest !== undefined));
    for (const one of above) {
      const pruning = this.#lastPruning.get(one);
      if (pruning !== undefined && pruning.at >= (last?.at ?? 0)) last = pruning;
      for (const parent of one.parents) above.add(parent);
      if (one.subject !== undefined) above.add(one.subject);
      for (const { about } of one.tags) if (about !== undefined) above.add(about);
    }
    return last;
  }

  #brokenPulls(): readonly BrokenPulls[] {
    const policy = this.#policy;
    if (policy === undefined) return [];
    return [...this.#broken].flatMap(([{ at, pruning }, counts]) => {
      const [first] = counts;
      if (first === undefined) return [];
      const byDay = new Map<number, number>();
      let pulls = 0;
      for (const count of counts) {
        byDay.set(count.day, (byDay.get(count.day) ?? 0) + count.pulls);
        pulls += count.pulls;
      }
      const days = [...byDay].sort(([one], [other]) => one - other).map(([day, count]) => ({ day, pulls: count }));
      const { tag, digest } = first;
      return [{ repo: this.#history.repo, policy, tag, digest, goneAt: at, pruning, pulls, days }];
    });
  }
}

/** That a tag or a manifest is gone. */
interface Gone {
  readonly at: number;
  readonly pruning: Pruning;
}

interface BrokenCount {
  readonly digest: Digest;
  readonly tag: TagName | undefined;
  readonly pulls: number;
  readonly day: number;
}

/** What is told of an item at the end. Its contents would keep the whole repository in memory. */
function withoutContents(item: Item): Item {
  const { digest, pushedAt, taggedAt, pulledAt, mediaType, artifactType, labels, annotations } = item;
  const { isSigned, isPinned, follows } = item;
  const facts = { digest, pushedAt, taggedAt, pulledAt, mediaType, artifactType, labels, annotations };
  const plain = { ...facts, isSigned, isPinned, follows, contents: [], sizeBytes: null };
  return item.kind === 'tag'
    ? { kind: 'tag', name: item.name, ...plain }
    : { kind: 'untagged', untaggedAt: item.untaggedAt, ...plain };
}

function judgeOf(policy: Policy): Judge {
  return isIncremental(policy) ? new IncrementalJudge(policy) : new WholeJudge(policy);
}
