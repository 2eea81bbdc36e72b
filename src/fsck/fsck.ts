import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { lockDirectory } from '../metadata/sqlite/directory-lock.ts';
import { type Checked, walk } from './check.ts';
import { Checkpoint } from './checkpoint.ts';
import { filesCheck } from './checks/files.ts';
import { generationCheck } from './checks/generation.ts';
import { linksCheck } from './checks/links.ts';
import { manifestsCheck } from './checks/manifests.ts';
import { objectsCheck } from './checks/objects.ts';
import { quotaBlobsCheck, quotaLinksCheck, quotaUsageCheck } from './checks/quotas.ts';
import { storedCheck } from './checks/stored.ts';
import { tablesCheck } from './checks/tables.ts';
import { tagsCheck, trashedTagsCheck } from './checks/tags.ts';
import { tasksCheck } from './checks/tasks.ts';
import { uploadsCheck } from './checks/uploads.ts';
import type { Finding, Reported } from './finding.ts';
import { Pace } from './pace.ts';
import { CannotCheckError, Records } from './records.ts';
import { rehash } from './rehash.ts';
import { RepairRound } from './repair-round.ts';
import { Repairs } from './repairs.ts';
import { servedSince } from './server-presence.ts';

const defaultOrphanAgeMs = 24 * 3_600_000;

export interface LookOptions {
  readonly dataDirectory: string;
  /** Reads every blob. */
  readonly rehash?: RehashOptions | undefined;
  /** In ms since 1970; the system's time where it is not given. */
  readonly now?: number;
  /** How old a file must be that no row knows, in ms. */
  readonly orphanAgeMs?: number;
  readonly onProgress?: (progress: Progress) => void;
}

export interface RehashOptions {
  readonly bytesPerSecond: number;
  /** The object after which to begin; where the last one was broken off, if it is undefined. */
  readonly from: string | undefined;
  /** Leaves damaged blobs where they are. */
  readonly isTrial?: boolean;
}

export interface FsckOptions extends LookOptions {
  /** Takes leaks away. */
  readonly repair?: boolean;
}

/** How far a check has come. */
export interface Progress {
  /** What is being looked at, such as `objects`. */
  readonly name: string;
  /** How many of them have been looked at; bytes where blobs are read. */
  readonly done: number;
}

/**
 * Compares the database and the files of a data directory with each other and with what must be true of them
 * (docs/reliability.md, "Checking"), beside a running server or without one. What is not as it must be comes as it is
 * found.
 *
 * @throws CannotCheckError where there is nothing that could be checked
 */
export async function* fsck(options: FsckOptions): AsyncGenerator<Reported, void, undefined> {
  const { dataDirectory, now = Date.now() } = options;
  using records = Records.open(dataDirectory);
  using repairing = options.repair === true ? beginRepairs(dataDirectory, now) : undefined;
  const since = repairing?.isAlone === true ? undefined : servedSince(dataDirectory);
  const round = new RepairRound((repair) => repairing?.repairs.make(repair) === true);
  for await (const finding of findings(records, since, { ...options, now })) yield await round.report(finding);
}

/** The same without repairing anything: for a server, which repairs by itself. */
export async function* look(options: LookOptions): AsyncGenerator<Finding, void, undefined> {
  const { dataDirectory, now = Date.now() } = options;
  using records = Records.open(dataDirectory);
  yield* findings(records, servedSince(dataDirectory), { ...options, now });
}

async function* findings(
  records: Records,
  since: number | undefined,
  { dataDirectory, now, orphanAgeMs = defaultOrphanAgeMs, rehash: reading, onProgress }: LookOptions & { now: number },
): AsyncGenerator<Finding, void, undefined> {
  expectBlobsIn(dataDirectory);
  const checked: Checked = { dataDirectory, records, now, servedSince: since, orphanAgeMs };
  const counter = (name: string) => {
    let done = 0;
    return (count: number): void => {
      done += count;
      onProgress?.({ name, done });
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
  yield* walk(quotaUsageCheck(checked), counter('quotas'));
  yield* walk(quotaBlobsCheck(checked), counter('blobs counted'));
  yield* walk(quotaLinksCheck(checked), counter('links to count'));
  yield* walk(tasksCheck(checked), counter('reviews'));
  yield* walk(storedCheck(checked), counter('counts'));
  if (reading !== undefined) {
    const checkpoint = new Checkpoint(dataDirectory);
    const { bytesPerSecond, from = checkpoint.read(), isTrial = false } = reading;
    const pace = new Pace(bytesPerSecond);
    const onBytes = counter('bytes of blobs');
    yield* rehash({ dataDirectory, records, pace, checkpoint, after: from, isTrial, onBytes });
  }
}

/** @throws CannotCheckError where the blobs are not in the data directory, where all of them would count as lost */
function expectBlobsIn(dataDirectory: string): void {
  const objects = join(dataDirectory, 'objects');
  if (existsSync(objects)) return;
  throw new CannotCheckError(
    `there is no ${objects}: either it was lost, or this registry keeps its blobs in a bucket, which cannot be checked yet`,
  );
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

export type { Reported };
export { CannotCheckError };
