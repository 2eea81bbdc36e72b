import { z } from 'zod';
import { type EventFilter, isAskedFor } from '../../audit/event-filter.ts';
import type { EventFeed } from '../../audit/event-feed.ts';
import { eventPage, type EventPosition } from '../../audit/event-page.ts';
import { type EventRow, shownEvent } from '../../audit/event-row.ts';
import { digestGrammar, parseDigest } from '../../oci/digest.ts';
import { parseTagName, tagNameGrammar } from '../../oci/names.ts';
import { parseRepositoryGlob } from '../../retention/pattern.ts';
import { endpoint, linesEndpoint, nothing, pageLength, time } from './endpoint.ts';

/** A line comes at least so often, in ms: proxies take a silent connection for a dead one. */
const heartbeatMs = 15_000;

const event = z.object({
  /** Grows with every event, in the order in which they were committed. */
  id: z.number().int(),
  at: time,
  kind: z.string(),
  result: z.enum(['done', 'refused']),
  repository: z.string().optional(),
  tag: z.string().optional(),
  digest: z.string().optional(),
  /** KIND:NAME of whoever asked: user:alice, robot:ci, anonymous, operator, or system:NAME. */
  identity: z.string().optional(),
  address: z.string().optional(),
  requestId: z.string().optional(),
  userAgent: z.string().optional(),
  /** The same in words. */
  actor: z.string(),
  reason: z.string().optional(),
  bytes: z.number().int().optional(),
});

const repositories = z
  .string()
  .meta({ description: 'A repository, or a glob' })
  .transform((text, context) => {
    const parsed = parseRepositoryGlob(text);
    if (parsed.ok) return parsed.glob;
    context.addIssue({ code: 'custom', message: parsed.problem });
    return z.NEVER;
  });

const digest = z
  .string()
  .meta({ pattern: `^(${digestGrammar})$` })
  .transform((text, context) => {
    const parsed = parseDigest(text);
    if (parsed !== undefined) return parsed;
    context.addIssue({ code: 'custom', message: 'is not a digest' });
    return z.NEVER;
  });

const tag = z
  .string()
  .meta({ pattern: `^${tagNameGrammar}$` })
  .refine((text) => parseTagName(text) !== undefined, { error: 'is not the name of a tag' });

const filterShape = {
  repository: repositories.optional(),
  /** What the kind begins with. */
  kind: z
    .string()
    .regex(/^[a-z.]{1,40}$/, { error: 'is what the kind of an event begins with, such as tag. or manifest.pushed' })
    .optional(),
  /** An identity such as user:alice, its name alone, or an address. */
  by: z.string().min(1).max(200).optional(),
  digest: digest.optional(),
  tag: tag.optional(),
};

const filterSchema = z.strictObject(filterShape);

function filterOf({ repository, ...rest }: z.output<typeof filterSchema>): EventFilter {
  return { repositories: repository, ...rest };
}

/** Where a page ended: a time in ms and a number, `1893456000000-17`. */
const position = z
  .string()
  .regex(/^\d{1,15}-\d{1,15}$/, { error: 'give what the page before has named as next' })
  .transform((text): EventPosition => {
    const [at = '', id = ''] = text.split('-');
    return { at: Number(at), id: Number(id) };
  });

export const listEvents = endpoint({
  method: 'GET',
  path: '/events',
  action: 'admin',
  summary:
    'What has happened, a page of it. A page may have fewer events than asked for and lead to another, as only so many are looked at for one.',
  query: z.strictObject({
    ...filterShape,
    order: z.enum(['oldest', 'newest']).default('oldest'),
    since: time.optional(),
    until: time.optional(),
    after: position.optional(),
    n: pageLength,
  }),
  body: nothing,
  answer: z.object({
    events: z.array(event),
    next: z.string().optional(),
    /**
     * Whoever follows after this number misses nothing. With PostgreSQL it may be smaller than that of the last event,
     * while transactions are under way: then events of the page come again.
     */
    lastId: z.number().int(),
  }),
  async handle({ registry }, { query: { order, since, until, after, n: limit, ...filter } }) {
    const page = await eventPage(registry.metadata, {
      filter: filterOf(filter),
      order,
      since: since === undefined ? 0 : Date.parse(since),
      until: until === undefined ? Number.MAX_SAFE_INTEGER : Date.parse(until),
      after,
      limit,
    });
    const { next, lastId } = page;
    return {
      answer: {
        events: page.events.map(shownEvent),
        lastId,
        ...(next !== undefined && { next: `${next.at}-${next.id}` }),
      },
    };
  },
});

const line = z.union([
  z.object({ event }),
  /** Nothing has happened for a while. */
  z.object({ heartbeat: time }),
]);

export const followEvents = linesEndpoint({
  method: 'GET',
  path: '/events/follow',
  action: 'admin',
  refusals: [409],
  summary:
    'What happens from now on, or after the event with the number `after`, as it is committed; until either side ends.',
  query: z.strictObject({ ...filterShape, after: z.coerce.number<string>().int().min(0).optional() }),
  body: nothing,
  line,
  handle(call, { query: { after, ...filter } }) {
    const { events } = call.admin;
    if (events !== undefined) {
      const { registry, request } = call;
      const from = { after, filter: filterOf(filter), signal: request.signal };
      return { lines: followed(events, from, () => new Date(registry.clock.now()).toISOString()) };
    }
    return {
      problem: {
        code: 'UNSUPPORTED',
        status: 409,
        message: 'no server runs on this registry, so nothing happens that could be followed: leave --follow out',
      },
    };
  },
});

async function* followed(
  feed: EventFeed,
  { after, filter, signal }: { after: number | undefined; filter: EventFilter; signal: AbortSignal },
  timeNow: () => string,
): AsyncGenerator<z.input<typeof line>, void, undefined> {
  const options = { heartbeatMs, signal, isAskedFor: (row: EventRow) => isAskedFor(row, filter) };
  const batches = after === undefined ? await feed.followNew(options) : feed.follow(after, options);
  // Shows that it has begun.
  yield { heartbeat: timeNow() };
  for await (const rows of batches) {
    for (const row of rows) yield { event: shownEvent(row) };
    if (rows.length === 0) yield { heartbeat: timeNow() };
  }
}
