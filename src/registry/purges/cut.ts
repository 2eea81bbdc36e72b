import { z } from 'zod';
import type { BlobStore, ObjectId } from '../../blobs/store.ts';
import { type Digest, parseDigest } from '../../oci/digest.ts';
import type { CutResponses, Responses } from '../responses.ts';
import type { Siblings } from '../siblings.ts';

const told = z.object({ digests: z.array(z.string()), oids: z.array(z.string()) });
const answered = z.object({ count: z.int(), oids: z.array(z.string()) });

/**
 * Has the other processes break off what sends contents that are purged.
 * @throws SiblingBusyError where one may still send them
 */
export async function askToCut(
  siblings: Siblings,
  digests: readonly Digest[],
  oids: readonly ObjectId[],
): Promise<CutResponses> {
  const answers = z.array(answered).parse(await siblings.ask('purged', { digests, oids }));
  return {
    count: answers.reduce((sum, { count }) => sum + count, 0),
    oids: new Set(answers.flatMap((answer) => answer.oids)),
  };
}

/** Breaks off what is sent here when another process purges it. */
export function hearOfCuts({
  siblings,
  responses,
  blobs,
}: {
  readonly siblings: Siblings;
  readonly responses: Responses;
  readonly blobs: BlobStore;
}): void {
  siblings.hear('purged', async (payload) => {
    const { digests, oids } = told.parse(payload);
    const known = digests.map(parseDigest).filter((digest) => digest !== undefined);
    const { count, oids: sent } = responses.cut(known, oids);
    // Of those whose files are gone already, which nobody else can make shorter.
    if (sent.size > 0) await blobs.cutRemoved(sent);
    return { count, oids: [...sent] };
  });
}
