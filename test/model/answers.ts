import type { Digest } from '../../src/oci/digest.ts';
import type { TagName } from '../../src/oci/names.ts';
import { nameOf } from './universe.ts';

/** A request's answer in a word, or a few. */
export type Answer = string;

/** What a restore says that it did. */
export interface Restored {
  readonly digest: Digest;
  readonly tags: readonly TagName[];
  readonly movedOn: readonly { readonly tag: TagName; readonly current: Digest }[];
  /** What is visible again. */
  readonly manifests: readonly Digest[];
}

export function restoredAnswer({ digest, tags, movedOn, manifests }: Restored): Answer {
  const elsewhere = movedOn.map(({ tag, current }) => `${tag} to ${nameOf(current)}`);
  const lists = `tags: ${inOrder(tags)}; moved on: ${inOrder(elsewhere)}; visible again: ${inOrder(manifests.map(nameOf))}`;
  return `restored ${nameOf(digest)}; ${lists}`;
}

/** The order in which things are told is not promised. */
function inOrder(things: readonly string[]): string {
  return things.toSorted((a, b) => (a < b ? -1 : 1)).join(', ');
}

export function movedOnAnswer(digest: Digest, current: Digest): Answer {
  return `leads to ${nameOf(current)} by now, and not to ${nameOf(digest)}`;
}

export function emptiedAnswer(manifests: number, tags: number): Answer {
  return `emptied of ${manifests} manifests and ${tags} tags`;
}
