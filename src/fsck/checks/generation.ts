import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Check, Checked } from '../check.ts';

/** F14: the database is not older than the blobs. Each keeps a number that moves before bytes go, in the database first. */
export function generationCheck({ dataDirectory, records }: Checked): Check<string> {
  const path = join(dataDirectory, 'generation');
  return {
    name: 'generations',
    keysAfter: (after) => (after === undefined ? [path] : []),
    look: () => {
      // First, as it moves last.
      const ofBlobs = numberIn(path);
      const [row] = records.all<{ generation: number }>('select generation from store');
      const known = row?.generation ?? 0;
      if (ofBlobs <= known) return [];
      return [
        {
          code: 'F14',
          severity: 'leak',
          about: path,
          message: `the blobs are of generation ${ofBlobs}, the database knows them up to ${known}: it is older than they are, and nothing is collected`,
          advice:
            'put the newer database in place; if there is none, fsck --repair accepts this one, and what was pushed since it was copied is given up',
          repair: { kind: 'settle-generation', generation: ofBlobs },
        },
      ];
    },
  };
}

function numberIn(path: string): number {
  try {
    return Number(/^\d+/.exec(readFileSync(path, 'utf8'))?.[0] ?? 0);
  } catch {
    return 0;
  }
}
