import { evaluate, type Verdict } from '../evaluate.ts';
import type { Item, TagFacts, UntaggedFacts } from '../facts.ts';
import type { Policy } from '../policy.ts';
import type { Judge, Subject } from './judge.ts';

/** Judges all of a repository anew whenever something has changed: for policies with a budget. */
export class WholeJudge implements Judge {
  readonly #policy: Policy;
  readonly #items = new Map<Subject, Item>();
  dueAt = -Infinity;
  tagCount = 0;

  constructor(policy: Policy) {
    this.#policy = policy;
  }

  update(subject: Subject, item: Item | undefined, now: number): void {
    const before = this.#items.get(subject);
    if (before === undefined && item === undefined) return;
    if (before?.kind === 'tag') this.tagCount -= 1;
    if (item === undefined) this.#items.delete(subject);
    else {
      this.#items.set(subject, item);
      if (item.kind === 'tag') this.tagCount += 1;
    }
    this.dueAt = Math.min(this.dueAt, now);
  }

  happened(now: number): void {
    this.dueAt = Math.min(this.dueAt, now);
  }

  look(now: number): readonly Verdict[] {
    const tags: TagFacts[] = [];
    const untagged: UntaggedFacts[] = [];
    for (const item of this.#items.values()) {
      if (item.kind === 'tag') tags.push(item);
      else untagged.push(item);
    }
    const { verdicts, changesAt } = evaluate(this.#policy, { tags, untagged }, now);
    this.dueAt = changesAt ?? Infinity;
    return verdicts.filter(({ action }) => action === 'prune');
  }
}
