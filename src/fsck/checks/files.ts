import { type Dirent, existsSync, opendirSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Check, Checked } from '../check.ts';
import type { Finding } from '../finding.ts';

const shardName = /^[0-9a-f]{2}$/;
const objectName = /^[0-9a-f]{32}$/;

interface FileKey {
  /** The entry of `objects/` that it lies in, or is. */
  readonly shard: string;
  readonly name: string | undefined;
}

/** F2: every file belongs to an object, or is too young to tell. What has no object's name is not Wherry's to remove. */
export function filesCheck({ dataDirectory, records, now, orphanAgeMs }: Checked): Check<FileKey> {
  const root = join(dataDirectory, 'objects');
  // Where it is missing as a whole, the objects tell.
  const shards = existsSync(root) ? readdirSync(root).toSorted() : [];

  function lookAtObject(shard: string, oid: string): readonly Finding[] {
    if (records.finds('select 1 from object where oid = ?', oid)) return [];
    const path = join(root, shard, oid);
    const file = statSync(path, { throwIfNoEntry: false });
    // The row goes after the file, so the file may have gone since it was listed.
    if (file === undefined || now - file.mtimeMs < orphanAgeMs) return [];
    const message = `no object has this file of ${file.size} bytes`;
    const repair = { kind: 'remove-file', oid, path } as const;
    return [{ code: 'F2', severity: 'leak', about: path, message, advice: 'fsck --repair removes it', repair }];
  }

  function unknownName(path: string): readonly Finding[] {
    if (statSync(path, { throwIfNoEntry: false }) === undefined) return [];
    const message = 'wherry makes no file of this name here';
    return [{ code: 'F2', severity: 'note', about: path, message, advice: 'move it elsewhere if it is not needed' }];
  }

  return {
    name: 'files',
    keysAfter: (after) => {
      for (const shard of shards) {
        if (after !== undefined && shard <= after.shard) continue;
        const keys = shardName.test(shard)
          ? namesIn(join(root, shard)).map((name) => ({ shard, name }))
          : [{ shard, name: undefined }];
        if (keys.length > 0) return keys;
      }
      return [];
    },
    look: ({ shard, name }) => {
      if (name === undefined) return unknownName(join(root, shard));
      return objectName.test(name) && name.startsWith(shard)
        ? lookAtObject(shard, name)
        : unknownName(join(root, shard, name));
    },
  };
}

/** One of 256 parts of all names. */
function namesIn(directory: string): readonly string[] {
  const opened = opendirSync(directory);
  const names: string[] = [];
  try {
    for (let entry: Dirent | null = opened.readSync(); entry !== null; entry = opened.readSync())
      names.push(entry.name);
  } finally {
    opened.closeSync();
  }
  return names;
}
