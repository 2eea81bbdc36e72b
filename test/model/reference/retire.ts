import type { Digest } from '../../../src/oci/digest.ts';
import type { RepositoryName, TagName } from '../../../src/oci/names.ts';
import type { Retirable } from '../../../src/registry/retire.ts';
import type { Answer } from '../answers.ts';
import { untag } from './deletes.ts';
import { pinAgainstTagDelete } from './pins.ts';
import { pullsEnd } from './pulls.ts';
import type { Reference } from './reference.ts';
import type { ModelRepository } from './repository.ts';

/** What a tag was judged by stays what an operator has seen, until it is judged anew or the process is killed. */
export function judgementKey(repo: RepositoryName, tag: TagName): string {
  return `${repo}:${tag}`;
}

/** A tag comes to lead somewhere, or is pushed again. */
export function tagPushed({ tags, tagTimes }: ModelRepository, tag: TagName, digest: Digest, now: number): void {
  const movedAt = tags.get(tag) === digest ? (tagTimes.get(tag)?.movedAt ?? 0) : now;
  tags.set(tag, digest);
  tagTimes.set(tag, { movedAt, pushedAtLeast: now, pushedAtMost: now });
}

/** A HEAD by somebody who may push counts as a push, unless the last was less than half a lease ago: then it may. */
export function tagAskedFor(model: Reference, repo: RepositoryName, tag: TagName, now: number): void {
  const { tagTimes } = model.in(repo);
  const times = tagTimes.get(tag);
  if (times === undefined) return;
  const isDue = times.pushedAtMost < now - model.windows.leaseMs / 2;
  tagTimes.set(tag, { ...times, pushedAtMost: now, pushedAtLeast: isDue ? now : times.pushedAtLeast });
}

/** Somebody looks at how a tag stands, as retention does, which writes the pulls first. @param seen what is found */
export function judgeTag(model: Reference, repo: RepositoryName, tag: TagName, seen: Retirable | undefined): Answer {
  pullsEnd(model, true);
  const { tags, tagTimes } = model.in(repo);
  const target = tags.get(tag);
  const key = judgementKey(repo, tag);
  model.judgements.delete(key);
  if (target === undefined) return 'unknown';
  if (seen === undefined || seen.digest !== target) return `leads to ${target}`;
  const times = tagTimes.get(tag);
  if (seen.pushedAt < (times?.pushedAtLeast ?? 0)) return `pushed at ${times?.pushedAtLeast}`;
  if ((seen.taggedAt ?? 0) < (times?.movedAt ?? 0)) return `tagged at ${times?.movedAt}`;
  const pulledAt = lastPullOf(model, repo, target);
  if ((seen.pulledAt ?? 0) < pulledAt) return `pulled at ${pulledAt}`;
  const { pushedAt, taggedAt } = seen;
  tagTimes.set(tag, { movedAt: taggedAt ?? pushedAt, pushedAtLeast: pushedAt, pushedAtMost: pushedAt });
  model.judgements.set(key, seen);
  return 'judged';
}

export interface Retiring {
  readonly isForRoom: boolean;
  /** What the registry says that it did, which counts where a HEAD may have been a push. */
  readonly told: Answer | undefined;
}

/** A tag goes like a deleted one, if it is what it was judged to be and nothing has happened to it since. */
export function retireTag(
  model: Reference,
  repo: RepositoryName,
  tag: TagName,
  { isForRoom, told }: Retiring,
  now: number,
): Answer {
  const judged = model.judgements.get(judgementKey(repo, tag));
  if (judged === undefined) return 'nothing to do';
  pullsEnd(model, true);
  const there = model.in(repo);
  const target = there.tags.get(tag);
  if (target === undefined) return 'gone';
  if (target !== judged.digest) return 'pushed';
  const isPinned = pinAgainstTagDelete(there, tag) !== undefined || there.pins.has(`manifest ${target}`);
  if (isPinned) return 'pinned';
  if (lastPullOf(model, repo, target) > (judged.pulledAt ?? 0)) return 'pulled';
  const times = there.tagTimes.get(tag);
  if ((times?.movedAt ?? 0) > (judged.taggedAt ?? judged.pushedAt)) return 'pushed';
  if ((times?.pushedAtLeast ?? 0) > judged.pushedAt) return 'pushed';
  if ((times?.pushedAtMost ?? 0) > judged.pushedAt && told === 'pushed') return 'pushed';
  there.tags.delete(tag);
  untag(model, repo, tag, target, now, isForRoom ? 'none' : 'a whole one');
  return 'pruned';
}

/** The last pull that is sure to be known of a manifest, or of something that it lists. */
function lastPullOf(model: Reference, repo: RepositoryName, digest: Digest): number {
  const { manifests } = model.in(repo);
  const below = new Set([digest]);
  let lastAt = 0;
  for (const each of below) {
    const manifest = manifests.get(each);
    lastAt = Math.max(lastAt, manifest?.surelyPulledAt ?? 0);
    for (const child of manifest?.heldChildren ?? []) below.add(child);
  }
  return lastAt;
}
