import { imagesNeedingBlob } from '../broken-images.ts';
import { type Check, type Checked, keysPerPage } from '../check.ts';
import type { Finding } from '../finding.ts';

/** How long the file of a dead object may take to go, in ms. */
const deadMs = 24 * 3_600_000;

interface ObjectRow {
  readonly digest: string | null;
  readonly size_bytes: number;
  readonly state: 'pending' | 'live' | 'condemned' | 'dead';
  readonly due_at: number | null;
  readonly isLinked: number;
  readonly isBlocked: number;
  readonly hasUpload: number;
  readonly hasTask: number;
  readonly twins: number;
}

interface ObjectKey {
  readonly oid: string;
  /** What its bytes were among all others; undefined where they have to be looked for. */
  readonly listedBytes: number | undefined;
}

/**
 * F1: a live or condemned object has a file of the right size. F3: a digest has one live object. F8: a pending object
 * has an open upload, or is about to. F9: what no link holds is in the review queue. F10: what is blocked is not here. F11: the dead go.
 */
export function objectsCheck({ records, bytes, now, servedSince }: Checked): Check<ObjectKey> {
  const rowOf = async (oid: string): Promise<readonly ObjectRow[]> =>
    await records.all<ObjectRow>(
      `select digest, size_bytes, state, due_at,
         exists (select 1 from link where link.digest = object.digest) as "isLinked",
         exists (select 1 from blocked where blocked.digest = object.digest) as "isBlocked",
         exists (select 1 from upload where upload.oid = object.oid) as "hasUpload",
         exists (select 1 from task where kind = 'object' and key1 = object.oid and key2 = '') as "hasTask",
         (select count(*) from object twin where twin.live_digest = object.digest and twin.oid <> object.oid) as twins
       from object where oid = ?`,
      oid,
    );

  async function* lookAt({ oid, listedBytes }: ObjectKey, row: ObjectRow): AsyncGenerator<Finding> {
    const about = `object ${oid}`;
    const { state, digest } = row;
    if (state === 'pending') {
      // One that another process's upload is being copied into is looked at when that should be over (uploads/takeover.ts).
      if (row.hasUpload === 0 && row.hasTask === 0) {
        const advice = 'fsck --repair drops it';
        const repair = { kind: 'drop-object', oid } as const;
        yield { code: 'F8', severity: 'leak', about, message: 'it waits for an upload that is gone', advice, repair };
      }
      return;
    }
    if (digest !== null && state !== 'dead' && listedBytes !== row.size_bytes) yield* byteProblems(oid, row, digest);
    if (state === 'live' && row.twins > 0) {
      const advice = 'stop the server and put a backup of the database in place';
      yield { code: 'F3', severity: 'loss', about, message: `it is not the only live object of ${digest}`, advice };
    }
    if (row.isBlocked === 1 && state !== 'dead') {
      const message = `${digest} has been purged and is kept out, but its bytes are here`;
      yield { code: 'F10', severity: 'leak', about, message, advice: 'purge it again' };
    }
    const needsTask = state !== 'live' || row.isLinked === 0;
    if (needsTask && row.hasTask === 0) {
      const message = `it is ${state === 'live' ? 'in no repository' : state}, and nothing will look at it again`;
      const advice = 'fsck --repair puts it into the review queue';
      const repair = { kind: 'review', task: { kind: 'object', key1: oid, key2: '' } } as const;
      yield { code: 'F9', severity: 'leak', about, message, advice, repair };
    }
    if (state === 'dead' && servedSince !== undefined && Math.max(row.due_at ?? now, servedSince) < now - deadMs) {
      const advice = "see why the server's log says that it cannot be removed";
      yield { code: 'F11', severity: 'leak', about, message: 'it has been dead for more than a day', advice };
    }
  }

  async function* byteProblems(oid: string, row: ObjectRow, digest: string): AsyncGenerator<Finding> {
    const storedBytes = await bytes.sizeOf(oid);
    if (storedBytes === row.size_bytes) return;
    const isInQuarantine = await bytes.isQuarantined(oid);
    const isNeeded = row.state === 'live' && row.isLinked === 1;
    yield {
      code: 'F1',
      severity: isNeeded ? 'loss' : 'note',
      about: `object ${oid}`,
      message:
        storedBytes === undefined
          ? `the file of ${digest} is ${isInQuarantine ? 'in quarantine' : 'missing'}`
          : `the file of ${digest} has ${storedBytes} bytes, not ${row.size_bytes}`,
      advice: isNeeded
        ? 'push the blob again to any repository that has it, which mends it for all of them'
        : 'nothing needs it, and it goes by itself',
      ...(isNeeded ? { breaks: await imagesNeedingBlob(records, digest) } : {}),
    };
  }

  return {
    name: 'objects',
    keysAfter: async (after) => {
      const rows = await records.all<{ oid: string }>(
        'select oid from object where oid > ? order by oid limit ?',
        after?.oid ?? '',
        keysPerPage,
      );
      const oids = rows.map(({ oid }) => oid);
      const sizes = await bytes.sizesOf(oids);
      return oids.map((oid) => ({ oid, listedBytes: sizes.get(oid) }));
    },
    look: async (key) => {
      const [row] = await rowOf(key.oid);
      return row === undefined ? [] : await Array.fromAsync(lookAt(key, row));
    },
  };
}
