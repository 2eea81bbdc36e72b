import { imagesNeedingBlob } from '../broken-images.ts';
import { type Check, type Checked, keysPerPage } from '../check.ts';
import type { Finding } from '../finding.ts';

interface LinkKey {
  readonly repo: string;
  readonly digest: string;
}

interface LinkRow {
  readonly hasObject: number;
  readonly isNeeded: number;
  readonly hasTask: number;
  readonly isBlocked: number;
}

/** F4: a link leads to a live object. F9: one that no manifest needs is in the review queue. F10: nor to what is blocked. */
export function linksCheck({ records }: Checked): Check<LinkKey> {
  async function* lookAt({ repo, digest }: LinkKey, row: LinkRow): AsyncGenerator<Finding> {
    const about = `${repo}@${digest}`;
    if (row.hasObject === 0) {
      const advice = 'push the blob again';
      const breaks = await imagesNeedingBlob(records, digest);
      yield { code: 'F4', severity: 'loss', about, message: 'the blob has no live object', advice, breaks };
    }
    if (row.isNeeded === 0 && row.hasTask === 0) {
      const message = 'no manifest needs the blob, and nothing will look at it again';
      const advice = 'fsck --repair puts it into the review queue';
      const repair = { kind: 'review', task: { kind: 'link', key1: repo, key2: digest } } as const;
      yield { code: 'F9', severity: 'leak', about, message, advice, repair };
    }
    if (row.isBlocked === 1) {
      const message = 'the digest has been purged and is kept out, but the repository has it';
      yield { code: 'F10', severity: 'leak', about, message, advice: 'purge it again' };
    }
  }

  return {
    name: 'links',
    keysAfter: (after = { repo: '', digest: '' }) =>
      records.all<LinkKey>(
        'select repo, digest from link where (repo, digest) > (?, ?) order by repo, digest limit ?',
        after.repo,
        after.digest,
        keysPerPage,
      ),
    look: async (key) => {
      const [row] = await records.all<LinkRow>(
        `select
           exists (select 1 from object where live_digest = link.digest) as "hasObject",
           exists (select 1 from manifest_blob edge
             where edge.link_digest = link.digest and edge.repo = link.repo) as "isNeeded",
           exists (select 1 from task where kind = 'link' and key1 = link.repo and key2 = link.digest) as "hasTask",
           exists (select 1 from blocked where blocked.digest = link.digest) as "isBlocked"
         from link where repo = ? and digest = ?`,
        key.repo,
        key.digest,
      );
      return row === undefined ? [] : await Array.fromAsync(lookAt(key, row));
    },
  };
}
