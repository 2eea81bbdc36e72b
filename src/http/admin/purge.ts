import { z } from 'zod';
import { targetText, type Target } from '../../oci/target.ts';
import { purge } from '../../registry/purges/purge.ts';
import { recordedConsequences } from '../../registry/purges/consequences.ts';
import { liftPurge } from '../../registry/purges/lift.ts';
import { placesOfPurge, purgeRecord, purgeRecords } from '../../registry/purges/record.ts';
import type { Problem } from '../errors.ts';
import { type AdminCall, endpoint, linesEndpoint, nothing, pageLength, reasonText } from './endpoint.ts';
import { digest, isSharedOfImages, maxBodyBytes, mostAtOnce, named, sharedOfNothing } from './purge-named.ts';
import { place, record, shownConsequence, shownPlace, shownRecord } from './purge-shown.ts';

const reason = reasonText('say why: a purge needs a reason');

export const purgeNow = endpoint({
  method: 'POST',
  path: '/purge',
  action: 'purge',
  refusals: [404],
  summary:
    'Removes contents from everywhere at once and for good, and keeps them out. The answer is the record of it, which GET /purges/record tells with each place.',
  query: nothing,
  body: z
    .strictObject({ ...named, reason, shred: z.boolean().default(false) })
    .refine(isSharedOfImages, sharedOfNothing),
  maxBodyBytes,
  answer: record,
  isLong: true,
  async handle(call, { body: { digests, images, shared, shred, reason: why } }) {
    call.allowSlowAnswer();
    const request = { digests, images, withShared: shared, reason: why, isShredding: shred, actor: call.actor() };
    const outcome = await purge(call.registry, request);
    switch (outcome.outcome) {
      case 'purged':
        return await answerOf(call, outcome.purge);
      case 'unknown-image':
        return { problem: unknownImage(outcome.target) };
      case 'nothing-named':
        return {
          problem: { code: 'UNSUPPORTED', status: 400, message: 'name a digest or an image that shall be purged' },
        };
    }
  },
});

const purgeNumber = z.coerce
  .number<string>('the number of a purge, please: GET /admin/v1/purges lists them')
  .int()
  .min(1);

export const listPurges = endpoint({
  method: 'GET',
  path: '/purges',
  action: 'purge',
  summary: 'The records of purges, the newest first, a page of them.',
  query: z.strictObject({ before: purgeNumber.optional(), n: pageLength }),
  body: nothing,
  answer: z.object({ purges: z.array(record), next: z.string().optional() }),
  async handle({ registry }, { query: { before, n } }) {
    const records = await purgeRecords(registry, { before, limit: n });
    const last = records.length < n ? undefined : records.at(-1);
    return { answer: { purges: records.map(shownRecord), ...(last !== undefined && { next: String(last.id) }) } };
  },
});

export const showPurge = endpoint({
  method: 'GET',
  path: '/purges/record',
  action: 'purge',
  refusals: [404],
  summary: 'The record of a purge.',
  query: z.strictObject({ id: purgeNumber }),
  body: nothing,
  answer: record,
  handle: async (call, { query: { id } }) => await answerOf(call, id),
});

export const showPlaces = linesEndpoint({
  method: 'GET',
  path: '/purges/places',
  action: 'purge',
  summary:
    'Each place in which a purge has found what it was for, in a line of its own, and then what lost by it what had held it.',
  query: z.strictObject({ id: purgeNumber }),
  body: nothing,
  line: place,
  handle: ({ registry }, { query: { id } }) => ({ lines: placeLines(registry, id) }),
});

async function* placeLines(
  registry: AdminCall['registry'],
  id: number,
): AsyncGenerator<z.input<typeof place>, void, undefined> {
  const found = await purgeRecord(registry, id);
  const purged = new Set<string>(found?.digests.map((each) => each.digest));
  for await (const page of placesOfPurge(registry, id)) for (const each of page) yield shownPlace(each, purged);
  for await (const page of recordedConsequences(registry.metadata, id))
    for (const each of page) yield shownConsequence(each);
}

export const liftThePurge = endpoint({
  method: 'POST',
  path: '/purge/lift',
  action: 'purge',
  refusals: [404, 409],
  summary: 'Lets purged digests in again, all of them or none. Nothing comes back by that.',
  query: nothing,
  body: z.strictObject({ digests: z.array(digest).min(1).max(mostAtOnce), reason }),
  maxBodyBytes,
  answer: z.object({ digests: z.array(z.string()) }),
  async handle(call, { body }) {
    const outcome = await liftPurge(call.registry, { ...body, actor: call.actor() });
    switch (outcome.outcome) {
      case 'lifted':
        return { answer: { digests: [...outcome.digests] } };
      case 'not-blocked':
        return {
          problem: {
            code: 'BLOB_UNKNOWN',
            message: `nothing was lifted: ${outcome.digest} is not kept out; "wherry purge list" shows what is`,
            detail: { digest: outcome.digest },
          },
        };
      case 'unfinished':
        return {
          problem: {
            code: 'DENIED',
            status: 409,
            message: `nothing was lifted: purge ${outcome.purge} of ${outcome.digest} is not finished yet`,
            detail: { digest: outcome.digest, purge: outcome.purge },
          },
        };
    }
  },
});

async function answerOf(
  call: AdminCall,
  id: number,
): Promise<{ readonly answer: z.input<typeof record> } | { readonly problem: Problem }> {
  const found = await purgeRecord(call.registry, id);
  if (found !== undefined) return { answer: shownRecord(found) };
  return {
    problem: {
      code: 'UNSUPPORTED',
      status: 404,
      message: `there is no purge ${id}: "wherry purge list" shows those that there are`,
      detail: { purge: id },
    },
  };
}

function unknownImage(asked: Target): Problem {
  return {
    code: 'MANIFEST_UNKNOWN',
    message: `nothing was purged: there is no ${targetText(asked)}`,
    detail: { target: targetText(asked) },
  };
}
