import { basename } from 'node:path';
import { directoryCalls } from '../../src/blobs/directory/calls.ts';
import type { Syncs } from '../../src/stores/syncs.ts';

/** A place for blobs of which a test says which objects cannot be removed. */
export class StubbornDisk {
  keeps: (oid: string) => boolean = () => false;
  /** How many removals it has refused. */
  refused = 0;

  readonly syncs: Syncs = {
    database: {},
    blobs: {
      unlink: async (path) => {
        this.#refuse(path);
        await directoryCalls.unlink(path);
      },
    },
    bucket: {
      remove: async (send, key) => {
        this.#refuse(key);
        return await send();
      },
    },
  };

  #refuse(path: string): void {
    if (!this.keeps(basename(path))) return;
    this.refused++;
    throw Object.assign(new Error(`EIO: unlink ${path}`), { code: 'EIO' });
  }
}
