import type { Check, Checked } from '../check.ts';

/** Whether the database is older than the blobs, such as one that has been restored. */
export async function isOutdated({ records, bytes }: Pick<Checked, 'records' | 'bytes'>): Promise<boolean> {
  const { ofBlobs, known } = await generations({ records, bytes });
  return ofBlobs > known;
}

/** F14: the database is not older than the blobs. Each keeps a number that moves before bytes go, in the database first. */
export function generationCheck({ records, bytes, isOutdated: hasBeen }: Checked): Check<string> {
  return {
    name: 'generations',
    keysAfter: (after) => (after === undefined ? ['store'] : []),
    look: async () => {
      const { place, ofBlobs, known } = await generations({ records, bytes });
      if (ofBlobs <= known) return [];
      return [
        {
          code: 'F14',
          severity: 'leak',
          about: place,
          message: `the blobs are of generation ${ofBlobs}, the database knows them up to ${known}: it is older than they are, and nothing is collected`,
          advice:
            'put the newer database in place; if there is none, fsck --repair accepts this one, once it has adopted what this one does not know',
          // One that was restored just now was not looked at for what it does not know.
          ...(hasBeen ? { repair: { kind: 'settle-generation', generation: ofBlobs } as const } : {}),
        },
      ];
    },
  };
}

async function generations({ records, bytes }: Pick<Checked, 'records' | 'bytes'>) {
  // First, as it moves last.
  const { place, number: ofBlobs } = await bytes.generation();
  const [row] = await records.all<{ generation: number }>('select generation from store');
  return { place, ofBlobs, known: row?.generation ?? 0 };
}
