import type { Check, Checked } from '../check.ts';
import type { Finding } from '../finding.ts';
import { identify, type Identified } from '../identify.ts';
import {
  BytesGoneError,
  type StoredThing,
  type ThingFacts,
  type UnfinishedUpload,
  UnreadableError,
} from '../stored-bytes.ts';

/** What nothing is done about, as a newer database may need it. */
const leftAlone = 'it is left alone while the database is older: run fsck --repair again once that has been accepted';

type State = 'pending' | 'live' | 'condemned' | 'dead';

/**
 * F2: everything that is stored belongs to an object, or is too young to tell; a piece to one that still waits for it, or
 * is about to go with all its pieces. What has no object's name is not Wherry's to remove. Where the database is older,
 * what it does not know was pushed since, or was being pushed then, and it is said what it is.
 */
export function straysCheck({ records, bytes, now, orphanAgeMs, isOutdated, others }: Checked): Check<StoredThing> {
  /** What was read last: each is looked at twice. */
  let read: { readonly thing: StoredThing; readonly facts: ThingFacts; readonly identified: Identified } | undefined;

  async function identifiedBy(oid: string, thing: StoredThing, facts: ThingFacts): Promise<Identified | undefined> {
    const isSame = read?.thing === thing && read.facts.changedAt === facts.changedAt;
    if (read !== undefined && isSame && read.facts.sizeBytes === facts.sizeBytes) return read.identified;
    const identified = await identify(bytes, oid);
    read = identified && { thing, facts, identified };
    return identified;
  }

  async function unknownToOutdated(oid: string, thing: StoredThing, facts: ThingFacts): Promise<readonly Finding[]> {
    const finding = { code: 'F2', severity: 'leak', about: thing.about, isToBeAdopted: true } as const;
    try {
      const identified = await identifiedBy(oid, thing, facts);
      if (identified === undefined) return [];
      const { digest, sizeBytes, looks } = identified;
      const message = `the database, which is older, does not know this file of ${sizeBytes} bytes: ${digest}, which looks like ${looks}`;
      const advice =
        'fsck --repair adopts it: it stays for windows.adopted, and what needs it has to be pushed again by then';
      return [{ ...finding, message, advice, repair: { kind: 'adopt-bytes', oid, ...identified } }];
    } catch (error) {
      if (error instanceof BytesGoneError) return [];
      if (!(error instanceof UnreadableError)) throw error;
      const message = `the database, which is older, does not know this file, which cannot be read (${error.message})`;
      const advice = 'check the disk; fsck --repair accepts the database once it can be read, or has been moved away';
      return [{ ...finding, message, advice }];
    }
  }

  return {
    name: 'files',
    keysAfter: async (after) => await bytes.thingsAfter(after),
    look: async (thing) => {
      const { place, about, oid, isPiece } = thing;
      const state = oid === undefined ? undefined : await stateOf({ records }, oid);
      if (state !== undefined && !(isPiece && isOver(state))) return [];
      // The row goes after the bytes, so they may have gone since they were listed.
      const facts = await bytes.look(thing);
      if (facts === undefined) return [];
      if (oid === undefined) {
        const message = 'wherry makes no file of this name here';
        return [{ code: 'F2', severity: 'note', about, message, advice: 'move it elsewhere if it is not needed' }];
      }
      if (state === undefined && others.length > 0)
        return [perhapsOthers({ code: 'F2', about }, { others, isOutdated })];
      if (isOutdated && !isPiece) return await unknownToOutdated(oid, thing, facts);
      if (now - facts.changedAt < orphanAgeMs) return [];
      const message =
        state === undefined
          ? `no object has this file of ${facts.sizeBytes} bytes`
          : `its object is ${state}, and needs this piece of ${facts.sizeBytes} bytes no more`;
      if (isOutdated) return [{ code: 'F2', severity: 'leak', about, message, advice: leftAlone }];
      const repair = { kind: 'remove-stray', place } as const;
      return [{ code: 'F2', severity: 'leak', about, message, advice: 'fsck --repair removes it', repair }];
    },
  };
}

/** F12: an upload in a bucket is of an object that still waits for it, or is about to go, or is too young to tell. */
export function unfinishedCheck({
  records,
  bytes,
  now,
  orphanAgeMs,
  isOutdated,
  others,
}: Checked): Check<UnfinishedUpload> {
  const pages = bytes.uploads();

  async function lookAt(upload: UnfinishedUpload): Promise<readonly Finding[]> {
    const { place, id, about, oid, isCopy, begunAt } = upload;
    if (now - begunAt < orphanAgeMs) return [];
    const state = oid === undefined ? undefined : await stateOf({ records }, oid);
    if (state !== undefined && !isOver(state)) return [];
    if (!(await bytes.isUnfinished(upload))) return [];
    if (state === undefined && others.length > 0)
      return [perhapsOthers({ code: 'F12', about }, { others, isOutdated })];
    if (oid === undefined && !isCopy) {
      const message = 'wherry uploads nothing of this name here';
      return [{ code: 'F12', severity: 'note', about, message, advice: 'abort it if it is not needed' }];
    }
    const isOfNone = isCopy ? 'a check has not come to its end' : 'no object waits for it';
    const message = state === undefined ? isOfNone : `its object is ${state} without it`;
    if (isOutdated) return [{ code: 'F12', severity: 'leak', about, message, advice: leftAlone }];
    const repair = { kind: 'abort-upload', place, id } as const;
    return [{ code: 'F12', severity: 'leak', about, message, advice: 'fsck --repair aborts it', repair }];
  }

  return {
    name: 'unfinished uploads',
    keysAfter: async () => (await pages.next()).value ?? [],
    look: lookAt,
  };
}

/**
 * What no row knows where other registries keep theirs too: it is neither removed nor adopted. Where the database is older, it
 * is not accepted either, as what it does not know may be its own.
 */
function perhapsOthers(
  what: Pick<Finding, 'code' | 'about'>,
  { others, isOutdated }: Pick<Checked, 'others' | 'isOutdated'>,
): Finding {
  return {
    ...what,
    severity: isOutdated ? 'leak' : 'note',
    message: `this registry does not know it, and others have their blobs in the same place (${others.join(', ')})`,
    advice:
      'it is left alone; docs/backup.md ("Blobs of another registry") says what to do where one of them is no more',
    ...(isOutdated ? { isToBeAdopted: true as const } : {}),
  };
}

async function stateOf({ records }: Pick<Checked, 'records'>, oid: string): Promise<State | undefined> {
  const [row] = await records.all<{ state: State }>('select state from object where oid = ?', oid);
  return row?.state;
}

/** Whether an object needs no more than it has, and nothing that lies beside it will be looked for. */
function isOver(state: State): boolean {
  return state === 'live' || state === 'condemned';
}
