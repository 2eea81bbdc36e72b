import { lockDirectory } from '../metadata/sqlite/directory-lock.ts';
import { type Checked, walk } from './check.ts';
import { Checkpoint } from './checkpoint.ts';
import { filesCheck } from './checks/files.ts';
import { generationCheck } from './checks/generation.ts';
import { linksCheck } from './checks/links.ts';
import { manifestsCheck } from './checks/manifests.ts';
import { objectsCheck } from './checks/objects.ts';
import { tablesCheck } from './checks/tables.ts';
import { tagsCheck, trashedTagsCheck } from './checks/tags.ts';
import { tasksCheck } from './checks/tasks.ts';
import { uploadsCheck } from './checks/uploads.ts';
import type { Finding } from './finding.ts';
import { Pace } from './pace.ts';
import { CannotCheckError, Records } from './records.ts';
import { rehash } from './rehash.ts';
import { Repairs } from './repairs.ts';
import { servedSince } from './server-presence.ts';

const defaultOrphanAgeMs = 24 * 3_600_000;

export interface FsckOptions {
  readonly dataDirectory: string;
  /** Takes leaks away. */
  readonly repair?: boolean;
  /** Reads every blob. */
  readonly rehash?: { readonly bytesPerSecond: number; readonly from: string | undefined };
  /** In ms since 1970; the system's time where it is not given. */
  readonly now?: number;
  /** How old a file must be that no row knows, in ms. */
  readonly orphanAgeMs?: number;
  readonly onProgress?: (progress: Progress) => void;
}

/** How far a check has come. */
export interface Progress {
  /** What is being looked at, such as `objects`. */
  readonly name: string;
  /** How many of them have been looked at; bytes where blobs are read. */
  readonly done: number;
}

export interface Reported extends Finding {
  readonly isRepaired: boolean;
}

/**
 * Compares the database and the files of a data directory with each other and with what must be true of them
 * (docs/reliability.md, "Checking"), beside a running server or without one. What is not as it must be comes as it is
 * found.
 *
 * @throws CannotCheckError where there is nothing that could be checked
 */
export async function* fsck(options: FsckOptions): AsyncGenerator<Reported> {
  const { dataDirectory, now = Date.now(), orphanAgeMs = defaultOrphanAgeMs } = options;
  using records = Records.open(dataDirectory);
  using repairing = options.repair === true ? beginRepairs(dataDirectory, now) : undefined;
  const since = repairing?.isAlone === true ? undefined : servedSince(dataDirectory);
  const checked: Checked = { dataDirectory, records, now, servedSince: since, orphanAgeMs };
  let isOutdated = false;
  for await (const finding of findings(checked, options)) {
    isOutdated ||= finding.code === 'F14';
    const { repair } = finding;
    // What an outdated database does not know may be what a newer one does: whoever accepts it anyway runs it again.
    const mayRepair = repair !== undefined && !(isOutdated && repair.kind === 'remove-file');
    const isRepaired = mayRepair && repairing?.repairs.make(repair) === true;
    yield { ...finding, isRepaired };
  }
}

async function* findings(checked: Checked, options: FsckOptions): AsyncGenerator<Finding> {
  const { dataDirectory, records } = checked;
  const counter = (name: string) => {
    let done = 0;
    return (count: number): void => {
      done += count;
      options.onProgress?.({ name, done });
    };
  };
  yield* walk(generationCheck(checked), counter('generations'));
  yield* walk(tablesCheck(checked), counter('tables'));
  yield* walk(objectsCheck(checked), counter('objects'));
  yield* walk(filesCheck(checked), counter('files'));
  yield* walk(linksCheck(checked), counter('links'));
  yield* walk(manifestsCheck(checked), counter('manifests'));
  yield* walk(tagsCheck(checked), counter('tags'));
  yield* walk(trashedTagsCheck(checked), counter('tags in the trash'));
  yield* walk(uploadsCheck(checked), counter('uploads'));
  yield* walk(tasksCheck(checked), counter('reviews'));
  if (options.rehash !== undefined) {
    const checkpoint = new Checkpoint(dataDirectory);
    const after = options.rehash.from ?? checkpoint.read();
    const pace = new Pace(options.rehash.bytesPerSecond);
    yield* rehash({ dataDirectory, records, pace, checkpoint, after, onBytes: counter('bytes of blobs') });
  }
}

interface Repairing extends Disposable {
  readonly repairs: Repairs;
  /** Whether no server can start meanwhile. */
  readonly isAlone: boolean;
}

function beginRepairs(dataDirectory: string, now: number): Repairing {
  const locking = lockDirectory(dataDirectory);
  if (!locking.locked) {
    const repairs = Repairs.besideServer(now);
    return { repairs, isAlone: false, [Symbol.dispose]: () => repairs[Symbol.dispose]() };
  }
  const repairs = Repairs.withoutServer(dataDirectory, now);
  return {
    repairs,
    isAlone: true,
    [Symbol.dispose]: () => {
      repairs[Symbol.dispose]();
      locking.lock[Symbol.dispose]();
    },
  };
}

export { CannotCheckError };
