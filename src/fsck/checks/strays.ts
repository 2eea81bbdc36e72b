import type { Check, Checked } from '../check.ts';
import type { Finding } from '../finding.ts';
import type { StoredThing, UnfinishedUpload } from '../stored-bytes.ts';

type State = 'pending' | 'live' | 'condemned' | 'dead';

/**
 * F2: everything that is stored belongs to an object, or is too young to tell; a piece to one that still waits for it, or
 * is about to go with all its pieces. What has no object's name is not Wherry's to remove.
 */
export function straysCheck({ records, bytes, now, orphanAgeMs }: Checked): Check<StoredThing> {
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
      if (now - facts.changedAt < orphanAgeMs) return [];
      const message =
        state === undefined
          ? `no object has this file of ${facts.sizeBytes} bytes`
          : `its object is ${state}, and needs this piece of ${facts.sizeBytes} bytes no more`;
      const repair = { kind: 'remove-stray', place } as const;
      return [{ code: 'F2', severity: 'leak', about, message, advice: 'fsck --repair removes it', repair }];
    },
  };
}

/** F12: an upload in a bucket is of an object that still waits for it, or is about to go, or is too young to tell. */
export function unfinishedCheck({ records, bytes, now, orphanAgeMs }: Checked): Check<UnfinishedUpload> {
  const pages = bytes.uploads();

  async function lookAt(upload: UnfinishedUpload): Promise<readonly Finding[]> {
    const { place, id, about, oid, isCopy, begunAt } = upload;
    if (now - begunAt < orphanAgeMs) return [];
    const state = oid === undefined ? undefined : await stateOf({ records }, oid);
    if (state !== undefined && !isOver(state)) return [];
    if (!(await bytes.isUnfinished(upload))) return [];
    if (oid === undefined && !isCopy) {
      const message = 'wherry uploads nothing of this name here';
      return [{ code: 'F12', severity: 'note', about, message, advice: 'abort it if it is not needed' }];
    }
    const isOfNone = isCopy ? 'a check has not come to its end' : 'no object waits for it';
    const message = state === undefined ? isOfNone : `its object is ${state} without it`;
    const repair = { kind: 'abort-upload', place, id } as const;
    return [{ code: 'F12', severity: 'leak', about, message, advice: 'fsck --repair aborts it', repair }];
  }

  return {
    name: 'unfinished uploads',
    keysAfter: async () => (await pages.next()).value ?? [],
    look: lookAt,
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
