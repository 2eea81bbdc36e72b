import { lockDirectory } from '../metadata/sqlite/directory-lock.ts';
import { type Checked, walk } from './check.ts';
import { Checkpoint } from './checkpoint.ts';
import { generationCheck, isOutdated } from './checks/generation.ts';
import { linksCheck } from './checks/links.ts';
import { manifestsCheck } from './checks/manifests.ts';
import { objectsCheck } from './checks/objects.ts';
import { quotaBlobsCheck, quotaLinksCheck, quotaUsageCheck } from './checks/quotas.ts';
import { storedCheck } from './checks/stored.ts';
import { straysCheck, unfinishedCheck } from './checks/strays.ts';
import { tablesCheck } from './checks/tables.ts';
import { tagsCheck, trashedTagsCheck } from './checks/tags.ts';
import { tasksCheck } from './checks/tasks.ts';
import { uploadsCheck } from './checks/uploads.ts';
import type { Finding, Repair, Reported } from './finding.ts';
import { otherOwners } from './owners.ts';
import { Pace } from './pace.ts';
import { openBytes, openRecords, type Places } from './places.ts';
import { CannotCheckError, type Records } from './records.ts';
import { rehash } from './rehash.ts';
import { RepairRound } from './repair-round.ts';
import { Repairs } from './repairs.ts';
import type { StoredBytes } from './stored-bytes.ts';

const defaultOrphanAgeMs = 24 * 3_600_000;
const defaultKeepAdoptedMs = 30 * 24 * 3_600_000;

export interface LookOptions extends Places {
  /** Reads every blob. */
  readonly rehash?: RehashOptions | undefined;
  /** In ms since 1970; the database's time where it is not given. */
  readonly now?: number | undefined;
  /** How old bytes must be that no row knows, in ms. */
  readonly orphanAgeMs?: number;
  /** Since when a server has been running, in ms since 1970, where that is not to be found out. */
  readonly servedSince?: number;
  readonly onProgress?: (progress: Progress) => void;
}

export interface RehashOptions {
  readonly bytesPerSecond: number;
  /** The object after which to begin; where the last one was broken off, if it is undefined. */
  readonly from: string | undefined;
  /** Leaves damaged blobs where they are. */
  readonly isTrial?: boolean;
}

/** Makes a repair; says whether it has. */
export type MakeRepair = (repair: Repair) => Promise<boolean>;

export interface FsckOptions extends LookOptions {
  /** How long what is adopted stays without a push of it, in ms, where it is not said how to repair. */
  readonly keepAdoptedMs?: number;
  /**
   * Takes leaks away. Where several servers may be using the database it has to be said how, since only the registry's own
   * transactions go beside theirs.
   */
  readonly repair?: boolean | MakeRepair;
}

/** How far a check has come. */
export interface Progress {
  /** What is being looked at, such as `objects`. */
  readonly name: string;
  /** How many of them have been looked at; bytes where blobs are read. */
  readonly done: number;
}

/**
 * Compares a registry's database and its blobs with each other and with what must be true of them
 * (docs/reliability.md, "Checking"), beside running servers or without one. What is not as it must be comes as it is
 * found.
 *
 * @throws CannotCheckError where there is nothing that could be checked
 */
export async function* fsck(options: FsckOptions): AsyncGenerator<Reported, void, undefined> {
  const { repair = false } = options;
  await using records = await openRecords(options);
  const now = options.now ?? (await records.time());
  const bytes = await openBytes(options);
  using repairing = beginRepairs(options, bytes, now);
  const make =
    typeof repair === 'function' ? repair : async (one: Repair) => (await repairing?.repairs.make(one)) === true;
  const round = new RepairRound(make);
  const isServed = repairing?.isAlone !== true;
  for await (const finding of findings({ records, bytes, isServed }, { ...options, now })) {
    yield await round.report(finding);
  }
}

/** The same without repairing anything: for a server, which repairs by itself. */
export async function* look(options: LookOptions): AsyncGenerator<Finding, void, undefined> {
  await using records = await openRecords(options);
  const now = options.now ?? (await records.time());
  const bytes = await openBytes(options);
  yield* findings({ records, bytes, isServed: true }, { ...options, now });
}

interface Opened {
  readonly records: Records;
  readonly bytes: StoredBytes;
  /** Whether a server may be running. */
  readonly isServed: boolean;
}

async function* findings(
  { records, bytes, isServed }: Opened,
  options: LookOptions & { now: number },
): AsyncGenerator<Finding, void, undefined> {
  const { dataDirectory, now, orphanAgeMs = defaultOrphanAgeMs, rehash: reading, onProgress } = options;
  const servedSince = isServed ? (options.servedSince ?? (await records.servedSince())) : undefined;
  // Where one directory has both, they belong together.
  const isApart = options.database !== undefined || options.bucket !== undefined;
  const checked: Checked = {
    others: isApart ? await otherOwners(records, bytes) : [],
    records,
    bytes,
    now,
    servedSince,
    orphanAgeMs,
    isOutdated: await isOutdated({ records, bytes }),
  };
  const counter = (name: string) => {
    let done = 0;
    return (count: number): void => {
      done += count;
      onProgress?.({ name, done });
    };
  };
  yield* walk(tablesCheck(checked), counter('tables'));
  // What is adopted may take the place of what is missing; and the database is accepted only once all of it has been.
  if (checked.isOutdated) yield* walk(straysCheck(checked), counter('files'));
  yield* walk(generationCheck(checked), counter('generations'));
  yield* walk(objectsCheck(checked), counter('objects'));
  if (!checked.isOutdated) yield* walk(straysCheck(checked), counter('files'));
  yield* walk(unfinishedCheck(checked), counter('unfinished uploads'));
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
    yield* rehash({ records, bytes, pace, checkpoint, after: from, isTrial, onBytes });
  }
}

interface Repairing extends Disposable {
  readonly repairs: Repairs;
  /** Whether no server can start meanwhile. */
  readonly isAlone: boolean;
}

function beginRepairs(
  { dataDirectory, database, repair, keepAdoptedMs = defaultKeepAdoptedMs }: FsckOptions,
  bytes: StoredBytes,
  now: number,
): Repairing | undefined {
  if (repair !== true) return undefined;
  if (database !== undefined)
    throw new Error('several servers may be using the database: it was not said how to repair');
  const locking = lockDirectory(dataDirectory);
  if (!locking.locked) {
    const repairs = Repairs.besideServer(bytes, now);
    return { repairs, isAlone: false, [Symbol.dispose]: () => repairs[Symbol.dispose]() };
  }
  const repairs = Repairs.withoutServer(dataDirectory, bytes, { now, keepAdoptedMs });
  return {
    repairs,
    isAlone: true,
    [Symbol.dispose]: () => {
      repairs[Symbol.dispose]();
      locking.lock[Symbol.dispose]();
    },
  };
}

export type { Places, Reported };
export { CannotCheckError };
