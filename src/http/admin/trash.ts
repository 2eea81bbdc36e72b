import { z } from 'zod';
import { targetText } from '../../oci/target.ts';
import { restore, type RestoreOutcome } from '../../registry/trash/restore.ts';
import { emptyTrash, positionOf, type TrashEntry, trashPage } from '../../registry/trash/trash.ts';
import { freedByEmptying } from '../../usage/emptying.ts';
import type { Problem } from '../errors.ts';
import { purgedProblem } from '../purged.ts';
import { endpoint, nothing, type Outcome, pageLength, target, time, timeText } from './endpoint.ts';

const entry = z.object({
  kind: z.enum(['manifest', 'tag']),
  /** Restores it. */
  target: z.string(),
  repository: z.string(),
  tag: z.string().optional(),
  digest: z.string(),
  until: time,
  deletedAt: time.optional(),
  sizeBytes: z.number().int().optional(),
});

export const listTrash = endpoint({
  method: 'GET',
  path: '/trash',
  action: 'admin',
  summary: 'What was deleted and can be restored, a page of it.',
  query: z.strictObject({ target: target.optional(), after: target.optional(), n: pageLength }),
  body: nothing,
  answer: z.object({ entries: z.array(entry), next: z.string().optional() }),
  async handle({ registry }, { query: { target: within, after, n } }) {
    const entries = await trashPage(registry, { repo: within?.repo, after, limit: n });
    const last = entries.length < n ? undefined : entries.at(-1);
    const next = last === undefined ? {} : { next: targetText(positionOf(last)) };
    return { answer: { entries: entries.map(shownEntry), ...next } };
  },
});

const restored = z.object({
  digest: z.string(),
  tags: z.array(z.string()),
  movedOn: z.array(z.object({ tag: z.string(), current: z.string() })),
  manifests: z.array(z.string()),
});

export const restoreFromTrash = endpoint({
  method: 'POST',
  path: '/trash/restore',
  action: 'restore',
  refusals: [404, 409],
  repositoryOf: ({ body }) => body.target.repo,
  summary: 'Brings a deleted tag or manifest back with all that it needs. Tags that have moved on stay where they are.',
  query: nothing,
  body: z.strictObject({ target }),
  answer: restored,
  async handle(call, { body }) {
    const outcome = await restore(call.registry, { target: body.target, actor: call.actor() });
    return restoreAnswer(outcome, targetText(body.target), body.target.repo);
  },
});

export const emptyTheTrash = endpoint({
  method: 'POST',
  path: '/trash/empty',
  action: 'admin',
  summary:
    'Ends the time in the trash of everything, or of what the target names, so that the collector takes it away. With dryRun it only says what would go, and what that would free.',
  query: nothing,
  body: z.strictObject({ target: target.optional(), dryRun: z.boolean().default(false) }),
  answer: z.object({
    manifests: z.number().int(),
    tags: z.number().int(),
    dryRun: z.boolean(),
    /** Of a dry run: what nothing else keeps, once leases and the like are over. */
    wouldFree: z.object({ bytes: z.number().int(), blobs: z.number().int() }).optional(),
  }),
  isLong: true,
  async handle(call, { body: { target: within, dryRun } }, onProgress) {
    call.allowSlowAnswer();
    const { registry } = call;
    const emptied = await emptyTrash(registry, { target: within, actor: call.actor(), isTrial: dryRun, onProgress });
    if (!dryRun) return { answer: { ...emptied, dryRun } };
    return { answer: { ...emptied, dryRun, wouldFree: await freedByEmptying(registry, within, onProgress) } };
  },
});

function shownEntry(one: TrashEntry): z.input<typeof entry> {
  const shown = {
    kind: one.kind,
    target: targetText(positionOf(one)),
    repository: one.repo,
    digest: one.digest,
    until: timeText(one.until),
  };
  return one.kind === 'tag'
    ? { ...shown, tag: one.tag, deletedAt: timeText(one.deletedAt) }
    : { ...shown, sizeBytes: one.sizeBytes };
}

function restoreAnswer(outcome: RestoreOutcome, asked: string, repo: string): Outcome<z.input<typeof restored>> {
  switch (outcome.outcome) {
    case 'restored': {
      const { digest, tags, movedOn, manifests } = outcome;
      return { answer: { digest, tags: [...tags], movedOn: [...movedOn], manifests: [...manifests] } };
    }
    case 'not-in-trash':
      return { problem: notInTrash(asked) };
    case 'moved-on':
      return {
        problem: {
          code: 'DENIED',
          status: 409,
          message: `nothing was restored: ${repo}:${outcome.tag} leads to ${outcome.current} by now; restore ${repo}@${outcome.digest} without the tag, or delete the tag first and restore ${repo}:${outcome.tag}@${outcome.digest}`,
          detail: { tag: outcome.tag, current: outcome.current, digest: outcome.digest },
        },
      };
    case 'blocked': {
      const problem = purgedProblem(outcome.purged);
      return { problem: { ...problem, message: `nothing was restored: ${problem.message}` } };
    }
  }
}

function notInTrash(asked: string): Problem {
  return {
    code: 'MANIFEST_UNKNOWN',
    message: `${asked} is not in the trash: "wherry trash list" shows what is, "wherry explain ${asked}" what became of it`,
    detail: { target: asked },
  };
}
