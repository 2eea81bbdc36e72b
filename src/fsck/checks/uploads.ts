import { type Check, type Checked, keysPerPage } from '../check.ts';
import type { Finding } from '../finding.ts';

interface UploadRow {
  readonly repo: string;
  readonly oid: string | null;
  readonly objectState: string | null;
  readonly hasTask: number;
}

/** F8: an open upload has a pending object. F9: an upload, open or done, is in the review queue. */
export function uploadsCheck({ records }: Checked): Check<string> {
  function* lookAt(id: string, row: UploadRow): Generator<Finding> {
    const about = `upload ${id} to ${row.repo}`;
    if (row.oid !== null && row.objectState !== 'pending') {
      const message = `its object ${row.oid} is ${row.objectState ?? 'gone'}`;
      yield {
        code: 'F8',
        severity: 'leak',
        about,
        message,
        advice: 'cancel it with a DELETE, and push the blob again',
      };
    }
    if (row.hasTask === 0) {
      const message = 'nothing will look whether it has ended';
      const advice = 'fsck --repair puts it into the review queue';
      const repair = { kind: 'review', task: { kind: 'upload', key1: id, key2: '' } } as const;
      yield { code: 'F9', severity: 'leak', about, message, advice, repair };
    }
  }

  return {
    name: 'uploads',
    keysAfter: async (after = '') => {
      const rows = await records.all<{ id: string }>(
        'select id from upload where id > ? order by id limit ?',
        after,
        keysPerPage,
      );
      return rows.map(({ id }) => id);
    },
    look: async (id) => {
      const [row] = await records.all<UploadRow>(
        `select repo, oid,
           (select state from object where object.oid = upload.oid) as "objectState",
           exists (select 1 from task where kind = 'upload' and key1 = upload.id and key2 = '') as "hasTask"
         from upload where id = ?`,
        id,
      );
      return row === undefined ? [] : [...lookAt(id, row)];
    },
  };
}
