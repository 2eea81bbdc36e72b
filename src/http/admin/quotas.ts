import { z } from 'zod';
import { quotaUsages, type QuotaUsage } from '../../quotas/usage.ts';
import { endpoint, nothing, pageLength } from './endpoint.ts';

const figure = z.object({
  used: z.number().int(),
  soft: z.number().int().optional(),
  hard: z.number().int().optional(),
});

const shownQuota = z.object({
  quota: z.string(),
  /** Globs. */
  repositories: z.array(z.string()),
  /** The repository that this is of, where the quota is for each. */
  repository: z.string().optional(),
  /** While it is being counted, nothing is refused. */
  state: z.enum(['counting', 'counted']),
  bytes: figure,
  tags: figure,
});

/** Where a page ended: `2 team/app`. */
const position = z
  .string()
  .regex(/^\d{1,9}( [^ ]*)?$/, { error: 'give what the page before has named as next' })
  .transform((text) => {
    const [at = '', repo = ''] = text.split(' ');
    return { position: Number(at), repo };
  });

export const listQuotas = endpoint({
  method: 'GET',
  path: '/quotas',
  action: 'admin',
  summary: 'What is used of each quota, and what it allows; a page of them.',
  query: z.strictObject({ after: position.default({ position: 0, repo: '' }), n: pageLength }),
  body: nothing,
  answer: z.object({ quotas: z.array(shownQuota), next: z.string().optional() }),
  async handle({ registry }, { query: { after: from, n: limit } }) {
    const { usages, next } = await quotaUsages(registry.metadata, { from, limit });
    return {
      answer: { quotas: usages.map(shown), ...(next !== undefined && { next: `${next.position} ${next.repo}` }) },
    };
  },
});

function shown({ quota, repo, isCounted, bytes, tags }: QuotaUsage): z.input<typeof shownQuota> {
  return {
    quota: quota.name,
    repositories: quota.repositories.map(({ source }) => source),
    ...(repo !== undefined && { repository: repo }),
    state: isCounted ? 'counted' : 'counting',
    bytes: { used: bytes, ...limitsOf(quota.bytes) },
    tags: { used: tags, ...limitsOf(quota.tags) },
  };
}

function limitsOf({ soft, hard }: QuotaUsage['quota']['bytes']) {
  return { ...(soft !== undefined && { soft }), ...(hard !== undefined && { hard }) };
}
