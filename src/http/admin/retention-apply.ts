import { z } from 'zod';
import { digestGrammar, parseDigest } from '../../oci/digest.ts';
import { parseRepositoryName, parseTagName, repositoryNameGrammar, tagNameGrammar } from '../../oci/names.ts';
import type { PlannedItem } from '../../pruning/apply.ts';
import { endpoint, nothing } from './endpoint.ts';

/** Items that one request may bring. */
export const mostAppliedItems = 1000;
/** What so many items take at most, in bytes. */
const maxBodyBytes = 2 * 1024 * 1024;

const item = z.object({
  tag: z
    .string()
    .meta({ pattern: `^${tagNameGrammar}$` })
    .optional(),
  digest: z.string().meta({ pattern: `^(${digestGrammar})$` }),
  pushedAt: z.iso.datetime(),
  taggedAt: z.iso.datetime().optional(),
  pulledAt: z.iso.datetime().optional(),
  reason: z.string().max(1000),
});

export const applyThePlan = endpoint({
  method: 'POST',
  path: '/retention/apply',
  action: 'admin',
  summary:
    'Removes what a plan lets go of a repository, and nothing else: what was pushed, tagged, pulled or pinned since stays.',
  query: nothing,
  body: z.strictObject({
    repository: z.string().meta({ pattern: `^${repositoryNameGrammar}$` }),
    /** As in the plan; else the last tag stays. */
    mayPruneLastTag: z.boolean().default(false),
    /** As in the plan, with the times that they were judged by. */
    items: z.array(item).max(mostAppliedItems),
  }),
  maxBodyBytes,
  answer: z.object({
    /** In the order of the request. */
    items: z.array(
      z.object({
        /** What became of it; all but `pruned` says why it stays, or that it is not there any more. */
        outcome: z.enum(['pruned', 'gone', 'pushed', 'pulled', 'pinned', 'immutable', 'held', 'last-tag']),
        /** What its going frees after all before it, once the time in the trash is over. */
        freesBytes: z.number().int(),
      }),
    ),
  }),
  async handle(call, { body }) {
    const repo = parseRepositoryName(body.repository);
    if (repo === undefined) return refused(`${JSON.stringify(body.repository)} is no name of a repository`);
    const items: PlannedItem[] = [];
    for (const { tag, digest, pushedAt, taggedAt, pulledAt, reason } of body.items) {
      const [tagName, parsed] = [tag === undefined ? undefined : parseTagName(tag), parseDigest(digest)];
      if (parsed === undefined) return refused(`${JSON.stringify(digest)} is no digest`);
      if (tag !== undefined && tagName === undefined) return refused(`${JSON.stringify(tag)} is no tag`);
      items.push({
        tag: tagName,
        digest: parsed,
        pushedAt: Date.parse(pushedAt),
        taggedAt: taggedAt === undefined ? null : Date.parse(taggedAt),
        pulledAt: pulledAt === undefined ? null : Date.parse(pulledAt),
        reason,
      });
    }
    const names = items.map(({ tag, digest }) => tag ?? digest);
    if (new Set(names).size < names.length) return refused('something is in the plan twice');
    const { applyPlan } = await import('../../pruning/apply.ts');
    const request = { repo, items, actor: call.actor(), mayPruneLastTag: body.mayPruneLastTag };
    const applied = await applyPlan(call.registry, request);
    return { answer: { items: applied.map(({ outcome, freesBytes }) => ({ outcome, freesBytes })) } };
  },
});

function refused(message: string) {
  return { problem: { code: 'UNSUPPORTED', status: 400, message } } as const;
}
