import { z } from 'zod';
import type { Pruner, StandingPolicy } from '../../pruning/pruner.ts';
import { collectorPause } from '../../registry/collector-pause.ts';
import { type AdminCall, endpoint, nothing, time, timeText } from './endpoint.ts';

const counted = z.object({ tags: z.number().int(), manifests: z.number().int(), bytes: z.number().int() });

const status = z.object({
  /** Why nothing is pruned for a while, though policies may. */
  paused: z.object({ reason: z.string(), pausedAt: time, until: time }).optional(),
  /** An operator has paused the collector, which holds pruning too. */
  collectorPaused: z.object({ reason: z.string(), pausedBy: z.string(), pausedAt: time }).optional(),
  policies: z.array(
    z.object({
      name: z.string(),
      /** `waiting`: it has changed, what it would prune passes its rails, and nobody has approved of that yet. */
      state: z.enum(['approved', 'waiting', 'looking']),
      /** What it would prune in all, and what its rails would let go of that at once; where it waits. */
      wouldPrune: counted.optional(),
      railsLet: counted.optional(),
    }),
  ),
});

export const retentionStatus = endpoint({
  method: 'GET',
  path: '/retention',
  action: 'admin',
  refusals: [409],
  summary: 'The retention policies that the registry carries out, and which of them wait for approval.',
  query: nothing,
  body: nothing,
  answer: status,
  async handle(call) {
    const { pruner } = call.admin;
    return pruner === undefined ? { problem: noPruner(call) } : { answer: await statusOf(call, pruner) };
  },
});

export const approvePolicies = endpoint({
  method: 'POST',
  path: '/retention/approve',
  action: 'admin',
  refusals: [404, 409],
  summary: 'Lets changed policies prune that wait for it, all or one. Their rails hold as before.',
  query: nothing,
  body: z.strictObject({
    /** The name of a policy; all that wait where it is not given. */
    policy: z.string().optional(),
  }),
  answer: z.object({ approved: z.array(z.string()) }),
  async handle(call, { body }) {
    const { pruner } = call.admin;
    if (pruner === undefined) return { problem: noPruner(call) };
    const { policy: name } = body;
    if (name !== undefined && !pruner.policies.some((policy) => policy.name === name)) {
      const names = pruner.policies.map((policy) => policy.name).join(', ');
      return { problem: { code: 'UNSUPPORTED', status: 404, message: `no policy is named ${name}, only ${names}` } };
    }
    const approved = await pruner.approve(name, call.actor());
    return { answer: { approved: approved.map((policy) => policy.name) } };
  },
});

export const resumePruning = endpoint({
  method: 'POST',
  path: '/retention/resume',
  action: 'admin',
  refusals: [409],
  summary: 'Believes the clock as it is now, where pruning is paused because it was set.',
  query: nothing,
  body: nothing,
  answer: status,
  async handle(call) {
    const { pruner } = call.admin;
    if (pruner === undefined) return { problem: noPruner(call) };
    await pruner.resume(call.actor());
    return { answer: await statusOf(call, pruner) };
  },
});

/** A command that has opened the stores by itself has no collector either. */
function noPruner({ admin: { collector } }: AdminCall) {
  const message =
    collector === undefined
      ? 'no server runs on this data directory, and only a server carries out policies; "wherry retention plan" shows what they would remove'
      : 'the server was started without policies: write them into its configuration file, and start it again';
  return { code: 'UNSUPPORTED', status: 409, message } as const;
}

async function statusOf({ registry }: AdminCall, pruner: Pruner): Promise<z.input<typeof status>> {
  const pause = await pruner.pause();
  const [held, standing] = [await collectorPause(registry), await pruner.standing()];
  return {
    ...(pause && {
      paused: { reason: pause.reason, pausedAt: timeText(pause.pausedAt), until: timeText(pause.until) },
    }),
    ...(held && { collectorPaused: { ...held, pausedAt: timeText(held.pausedAt) } }),
    policies: standing.map(toldPolicy),
  };
}

function toldPolicy({ policy: { name }, state }: StandingPolicy): z.input<typeof status>['policies'][number] {
  return {
    name,
    state: state.state,
    ...(state.state === 'waiting' && { wouldPrune: state.wouldPrune, railsLet: state.railsLet }),
  };
}
