import { type Finding, isSameFinding } from './finding.ts';
import type { Records } from './records.ts';
import type { StoredBytes } from './stored-bytes.ts';

/** What is checked, and by which time. */
export interface Checked {
  readonly records: Records;
  readonly bytes: StoredBytes;
  /** In ms since 1970. */
  readonly now: number;
  /** Since when a server has been running, in ms since 1970; undefined where none is. */
  readonly servedSince: number | undefined;
  /** How old bytes must be that no row knows, in ms: a younger one may be of a push that a power cut has undone. */
  readonly orphanAgeMs: number;
  /** Whether the database is older than the files, such as one that has been restored (F14). */
  readonly isOutdated: boolean;
  /** Other registries that keep their bytes in the same place: what no row knows may be theirs. */
  readonly others: readonly string[];
}

/** A walk through one kind of thing, each looked at by itself. */
export interface Check<Key> {
  /** Such as `objects`, for a progress report. */
  readonly name: string;
  /** The next keys after one of them, in their order; none where the walk is over. */
  keysAfter(after: Key | undefined): readonly Key[] | Promise<readonly Key[]>;
  /** What is wrong with the thing now. Rows that have to fit together are read in one snapshot. */
  look(key: Key): readonly Finding[] | Promise<readonly Finding[]>;
}

/** Keys that one step of a walk reads. */
export const keysPerPage = 500;

/**
 * Walks through a check's keys with no more in memory than a page of them. Whatever looks wrong is looked at a second
 * time, and only what is still wrong then is reported: beside a running server, the first look at a row and its file may
 * have seen the one before a change and the other after it.
 *
 * @param onKeys is told how many keys have been looked at
 */
export async function* walk<Key>(check: Check<Key>, onKeys: (count: number) => void): AsyncGenerator<Finding> {
  let after: Key | undefined;
  for (;;) {
    const page = await check.keysAfter(after);
    if (page.length === 0) return;
    for (const key of page) yield* await confirmed(check, key);
    after = page.at(-1);
    onKeys(page.length);
    // Whoever shares the process has a turn.
    await new Promise(setImmediate);
  }
}

async function confirmed<Key>(check: Check<Key>, key: Key): Promise<readonly Finding[]> {
  const first = await check.look(key);
  if (first.length === 0) return first;
  const second = await check.look(key);
  return second.filter((finding) => first.some((before) => isSameFinding(before, finding)));
}
