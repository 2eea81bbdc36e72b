import type { Verdict } from '../evaluate.ts';
import type { Item } from '../facts.ts';

/** A tag or an untagged manifest, by whatever stands for it. */
export type Subject = object;

/**
 * Knows at any time what of a repository a policy would prune. It is told of all that changes, and says when it is worth
 * while to look: looks at other times find nothing that the one before has not found.
 */
export interface Judge {
  /** What there is to know of something is another from now on; undefined where it is gone, or goes with another. */
  update(subject: Subject, item: Item | undefined, now: number): void;
  /** Something was pushed or removed, whether it is judged or not: the repository may have another size. */
  happened(now: number): void;
  /** A look before this time would find nothing new; infinite while nothing changes. */
  readonly dueAt: number;
  /** Tags that a rule may name. */
  readonly tagCount: number;
  /** All that is to be pruned, whether a look before has said so or not. */
  look(now: number): readonly Verdict[];
}
