import { type Check, type Checked, keysPerPage } from '../check.ts';
import type { Finding } from '../finding.ts';

interface TagKey {
  readonly repo: string;
  readonly name: string;
}

/** F7: a tag leads to a visible manifest. */
export function tagsCheck({ records }: Checked): Check<TagKey> {
  return {
    name: 'tags',
    keysAfter: (after = { repo: '', name: '' }) =>
      records.all<TagKey>(
        'select repo, name from tag where (repo, name) > (?, ?) order by repo, name limit ?',
        after.repo,
        after.name,
        keysPerPage,
      ),
    look: async ({ repo, name }) => {
      const [row] = await records.all<{ manifest: string; state: string | null }>(
        `select manifest,
           (select state from manifest where manifest.repo = tag.repo and manifest.digest = tag.manifest) as state
         from tag where repo = ? and name = ?`,
        repo,
        name,
      );
      if (row === undefined || row.state === 'live') return [];
      const about = `${repo}:${name}`;
      const message = `its manifest ${row.manifest} is ${row.state === null ? 'gone' : 'in the trash'}`;
      const finding: Finding = {
        code: 'F7',
        severity: 'loss',
        about,
        message,
        advice: 'push the image again',
        breaks: [about],
      };
      return [finding];
    },
  };
}

interface TrashedTagKey extends TagKey {
  readonly manifest: string;
}

/** F13: a tag in the trash has its manifest, and the manifest's review, which will end the tag's time there. */
export function trashedTagsCheck({ records }: Checked): Check<TrashedTagKey> {
  async function* lookAt({ repo, name, manifest }: TrashedTagKey): AsyncGenerator<Finding> {
    const [row] = await records.all<{ hasManifest: number; hasTask: number }>(
      `select
         exists (select 1 from manifest where repo = trash.repo and digest = trash.manifest) as "hasManifest",
         exists (select 1 from task where kind = 'manifest' and key1 = trash.repo and key2 = trash.manifest) as "hasTask"
       from tag_trash trash where repo = ? and name = ? and manifest = ?`,
      repo,
      name,
      manifest,
    );
    if (row === undefined) return;
    const about = `${repo}:${name} in the trash`;
    if (row.hasManifest === 0) {
      const advice = 'push the image again if it is wanted';
      yield { code: 'F13', severity: 'loss', about, message: `its manifest ${manifest} is gone`, advice };
    }
    if (row.hasTask === 0) {
      const message = 'nothing will take it out of the trash';
      const advice = 'fsck --repair puts its manifest into the review queue';
      const repair = { kind: 'review', task: { kind: 'manifest', key1: repo, key2: manifest } } as const;
      yield { code: 'F13', severity: 'leak', about, message, advice, repair };
    }
  }

  return {
    name: 'tags in the trash',
    keysAfter: (after = { repo: '', name: '', manifest: '' }) =>
      records.all<TrashedTagKey>(
        `select repo, name, manifest from tag_trash where (repo, name, manifest) > (?, ?, ?)
         order by repo, name, manifest limit ?`,
        after.repo,
        after.name,
        after.manifest,
        keysPerPage,
      ),
    look: async (key) => await Array.fromAsync(lookAt(key)),
  };
}
