import { z } from 'zod';
import { type Target, targetText } from '../../oci/target.ts';
import { pin, type Pin, pinPage, type PinTarget, pinTargetText, unpin } from '../../registry/pin.ts';
import { endpoint, nothing, pageLength, reasonText, target, time, timeText } from './endpoint.ts';

/** A repository, a tag or a manifest: not a tag together with a digest. */
const pinTarget = target.transform((named, context): PinTarget => {
  const one = pinTargetOf(named);
  if (one !== undefined) return one;
  context.addIssue({ code: 'custom', message: `pin either the tag or the digest of ${targetText(named)}` });
  return z.NEVER;
});

const shownPin = z.object({ target: z.string(), reason: z.string(), pinnedBy: z.string(), pinnedAt: time });

export const listPins = endpoint({
  method: 'GET',
  path: '/pins',
  action: 'admin',
  summary: 'What is pinned, a page of it.',
  query: z.strictObject({ after: pinTarget.optional(), n: pageLength }),
  body: nothing,
  answer: z.object({ pins: z.array(shownPin), next: z.string().optional() }),
  async handle({ registry }, { query: { after, n } }) {
    const pins = await pinPage(registry, after, n);
    const last = pins.length < n ? undefined : pins.at(-1);
    return { answer: { pins: pins.map(shown), ...(last === undefined ? {} : { next: pinTargetText(last) }) } };
  },
});

export const addPin = endpoint({
  method: 'POST',
  path: '/pins',
  action: 'admin',
  refusals: [404],
  summary: 'Pins a repository, a tag or a manifest: whatever deletes it is refused until the pin is taken away.',
  query: nothing,
  body: z.strictObject({ target: pinTarget, reason: reasonText() }),
  answer: shownPin,
  async handle(call, { body }) {
    const outcome = await pin(call.registry, { ...body.target, reason: body.reason, actor: call.actor() });
    if (outcome.outcome === 'pinned') return { answer: shown(outcome.pin) };
    const named = pinTargetText(body.target);
    return {
      problem: {
        code: body.target.reference === undefined ? 'NAME_UNKNOWN' : 'MANIFEST_UNKNOWN',
        message: `there is no ${named} to pin`,
        detail: { target: named },
      },
    };
  },
});

export const removePin = endpoint({
  method: 'DELETE',
  path: '/pins',
  action: 'admin',
  refusals: [404],
  summary: 'Takes a pin away.',
  query: z.strictObject({ target: pinTarget }),
  body: nothing,
  answer: z.object({ target: z.string() }),
  async handle(call, { query }) {
    const named = pinTargetText(query.target);
    if (await unpin(call.registry, { ...query.target, actor: call.actor() })) return { answer: { target: named } };
    return {
      problem: {
        code: 'MANIFEST_UNKNOWN',
        message: `${named} is not pinned: "wherry pins" shows what is`,
        detail: { target: named },
      },
    };
  },
});

function pinTargetOf({ repo, tag, digest }: Target): PinTarget | undefined {
  if (tag === undefined) return { repo, reference: digest === undefined ? undefined : { kind: 'digest', digest } };
  return digest === undefined ? { repo, reference: { kind: 'tag', tag } } : undefined;
}

function shown(one: Pin): z.input<typeof shownPin> {
  return {
    target: pinTargetText(one),
    reason: one.reason,
    pinnedBy: one.pinnedBy,
    pinnedAt: timeText(one.pinnedAt),
  };
}
