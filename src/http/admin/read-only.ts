import { z } from 'zod';
import {
  holdReadOnly,
  makeReadOnly,
  makeWritable,
  type ReadOnlyRequest,
  readOnlyState,
  type ReadOnlyState,
  unheedingOfReadOnly,
} from '../../registry/read-only.ts';
import type { Registry } from '../../registry/registry.ts';
import { endpoint, nothing, type Outcome, reasonText, time, timeText } from './endpoint.ts';

const state = z.object({
  isReadOnly: z.boolean(),
  reason: z.string().optional(),
  setBy: z.string().optional(),
  setAt: time.optional(),
  /** When it ends unless it is renewed. */
  until: time.optional(),
  /** Where the registry was moved to: nothing is to be changed here any more. */
  movedTo: z.string().optional(),
  /** Connections of processes of an earlier version, which go on changing things: they do not know of this. Left out where there are none. */
  notHeededBy: z.array(z.string()).optional(),
});

/** By which whoever has set it is known. */
const token = z.string().regex(/^[A-Za-z0-9_-]{1,64}$/, { error: 'is 1 to 64 letters, digits, _ and -' });
/** An hour at most, so that a registry whose move has died can soon be pushed to again. */
const leaseMs = z.number().int().min(1000).max(3_600_000);

export const readOnlyStatus = endpoint({
  method: 'GET',
  path: '/readonly',
  action: 'admin',
  summary: 'Whether the registry can be changed, and why not.',
  query: nothing,
  body: nothing,
  answer: state,
  handle: async ({ registry }) => ({ answer: await shownReadOnly(registry) }),
});

export const beginReadOnly = endpoint({
  method: 'POST',
  path: '/readonly/on',
  action: 'admin',
  refusals: [409],
  summary: 'Refuses whatever would change the registry, also over restarts; pulls go on.',
  query: nothing,
  body: z.strictObject({
    reason: reasonText(),
    token: token.optional(),
    /** Without it, it does not end by itself. */
    leaseMs: leaseMs.optional(),
    movedTo: z.string().min(1).max(500).optional(),
    /** Only where it has been so, with this token, without an end. */
    isHeld: z.boolean().default(false),
  }),
  answer: state,
  async handle(call, { body: { token: by = '', ...body } }) {
    if (body.movedTo !== undefined && body.leaseMs !== undefined) {
      return { problem: { code: 'UNSUPPORTED', status: 400, message: 'what was moved stays so: leave out leaseMs' } };
    }
    return await switchOn(call.registry, { ...body, token: by, actor: call.actor() });
  },
});

export const renewTheReadOnly = endpoint({
  method: 'POST',
  path: '/readonly/renew',
  action: 'admin',
  refusals: [409],
  summary: 'Holds it for longer.',
  query: nothing,
  body: z.strictObject({ token, leaseMs }),
  answer: state,
  async handle(call, { body }) {
    const isHeld = await holdReadOnly(call.registry, body);
    return isHeld ? { answer: await shownReadOnly(call.registry) } : await conflict(call.registry);
  },
});

export const endReadOnly = endpoint({
  method: 'POST',
  path: '/readonly/off',
  action: 'admin',
  refusals: [409],
  summary: 'Lets the registry be changed again.',
  query: nothing,
  body: z.strictObject({
    token: token.optional(),
    /** Also where it has been moved elsewhere. */
    isForced: z.boolean().default(false),
  }),
  answer: state,
  async handle(call, { body: { token: by, isForced } }) {
    return await switchOff(call.registry, { actor: call.actor(), isForced, ...(by !== undefined && { token: by }) });
  },
});

/** What it takes to switch it: neither blobs nor a server. */
type Parts = Pick<Registry, 'metadata' | 'clock'>;

/** What the admin API says of it. */
export async function shownReadOnly(parts: Parts): Promise<z.input<typeof state>> {
  const there = await readOnlyState(parts);
  const notHeededBy = there === undefined ? [] : await unheedingOfReadOnly(parts);
  return { ...shown(there), ...(notHeededBy.length > 0 && { notHeededBy: [...notHeededBy] }) };
}

/** Switches it on, and answers as the admin API does. */
export async function switchOn(parts: Parts, request: ReadOnlyRequest): Promise<Outcome<z.input<typeof state>>> {
  const isSet = await makeReadOnly(parts, request);
  return isSet ? { answer: await shownReadOnly(parts) } : await conflict(parts);
}

/** Switches it off, and answers as the admin API does. */
export async function switchOff(
  parts: Parts,
  request: Parameters<typeof makeWritable>[1],
): Promise<Outcome<z.input<typeof state>>> {
  const kept = await makeWritable(parts, request);
  if (kept === undefined) return { answer: await shownReadOnly(parts) };
  return {
    problem: {
      code: 'DENIED',
      status: 409,
      message: `this registry has been moved to ${kept.movedTo}, and what is pushed here would not be there: use that one, or say --force if this is the one to go on with`,
      detail: { movedTo: kept.movedTo },
    },
  };
}

async function conflict(parts: Parts) {
  const there = await readOnlyState(parts);
  const message =
    there === undefined
      ? 'the registry is not read-only any more: something may have been changed'
      : `the registry is read-only already, by ${there.setBy}: ${there.reason}`;
  return { problem: { code: 'DENIED', status: 409, message, detail: { ...shown(there) } } } as const;
}

function shown(there: ReadOnlyState | undefined): z.input<typeof state> {
  if (there === undefined) return { isReadOnly: false };
  const { reason, setBy, setAt, until, movedTo } = there;
  return {
    isReadOnly: true,
    reason,
    setBy,
    setAt: timeText(setAt),
    ...(until !== undefined && { until: timeText(until) }),
    ...(movedTo !== undefined && { movedTo }),
  };
}
