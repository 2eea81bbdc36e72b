import type { Check, Checked } from '../check.ts';

/** F14: the database is not older than the blobs. Each keeps a number that moves before bytes go, in the database first. */
export function generationCheck({ records, bytes }: Checked): Check<string> {
  return {
    name: 'generations',
    keysAfter: (after) => (after === undefined ? ['store'] : []),
    look: async () => {
      // First, as it moves last.
      const { place, number: ofBlobs } = await bytes.generation();
      const [row] = await records.all<{ generation: number }>('select generation from store');
      const known = row?.generation ?? 0;
      if (ofBlobs <= known) return [];
      return [
        {
          code: 'F14',
          severity: 'leak',
          about: place,
          message: `the blobs are of generation ${ofBlobs}, the database knows them up to ${known}: it is older than they are, and nothing is collected`,
          advice:
            'put the newer database in place; if there is none, fsck --repair accepts this one, and what was pushed since it was copied is given up',
          repair: { kind: 'settle-generation', generation: ofBlobs },
        },
      ];
    },
  };
}
