import { z } from 'zod';
import {
  registryUsage,
  repositoryUsage,
  type RepositoryUsage,
  repositoryUsages,
  type TagUsage,
  tagUsage,
  tagUsages,
} from '../../usage/usage.ts';
import { endpoint, nothing, type Outcome, pageLength, target } from './endpoint.ts';

const bytes = z.number().int();

const wholeUsage = z.object({
  logicalBytes: bytes,
  sharedBytes: bytes,
  heldBytes: bytes,
  trashBytes: bytes,
  waitingBytes: bytes,
  toReclaimBytes: bytes,
  uploadBytes: bytes,
  totalBytes: bytes,
  onDiskBytes: bytes,
});

export const usageOfRegistry = endpoint({
  method: 'GET',
  path: '/usage',
  action: 'admin',
  summary: 'What the blobs of the registry take: the parts add up to the total, which lies on the disk.',
  query: nothing,
  body: nothing,
  answer: wholeUsage,
  isLong: true,
  async handle(call, _, onProgress) {
    call.allowSlowAnswer();
    return { answer: await registryUsage(call.registry, onProgress) };
  },
});

const partUsage = z.object({
  /** The repository, or the tag. */
  target: z.string(),
  logicalBytes: bytes,
  sharedBytes: bytes,
  uniqueBytes: bytes,
  trashBytes: bytes.optional(),
  waitingBytes: bytes.optional(),
});

type PartUsage = z.input<typeof partUsage>;

export const usageOfPart = endpoint({
  method: 'GET',
  path: '/usage/part',
  action: 'admin',
  refusals: [404],
  summary:
    'What a repository or a tag takes: logical is shared with others and unique, which is what deleting it would free.',
  query: z.strictObject({ target }),
  body: nothing,
  answer: partUsage,
  isLong: true,
  async handle(call, { query: { target: asked } }, onProgress): Promise<Outcome<PartUsage>> {
    call.allowSlowAnswer();
    const { repo, tag, digest } = asked;
    if (digest !== undefined) {
      const message = 'give a repository or a tag; "wherry explain" says what deleting a manifest would free';
      return { problem: { code: 'UNSUPPORTED', status: 400, message } };
    }
    if (tag === undefined) {
      const usage = await repositoryUsage(call.registry, repo, onProgress);
      if (usage !== undefined) return { answer: ofRepository(usage) };
      return { problem: { code: 'NAME_UNKNOWN', message: `there is no repository ${repo}` } };
    }
    const usage = await tagUsage(call.registry, repo, tag);
    if (usage !== undefined) return { answer: ofTag(usage) };
    return { problem: { code: 'MANIFEST_UNKNOWN', message: `there is no tag ${tag} in ${repo}` } };
  },
});

export const usageOfParts = endpoint({
  method: 'GET',
  path: '/usage/parts',
  action: 'admin',
  summary: 'What each repository takes, or each tag of the one that the target names; a page of them.',
  query: z.strictObject({ target: target.optional(), after: z.string().default(''), n: pageLength }),
  body: nothing,
  answer: z.object({ parts: z.array(partUsage), next: z.string().optional() }),
  async handle(call, { query: { target: within, after, n } }) {
    call.allowSlowAnswer();
    const page = { last: after, limit: n };
    if (within === undefined) {
      const usages = await repositoryUsages(call.registry, page);
      return { answer: { parts: usages.map(ofRepository), ...nextAfter(usages, n, ({ repo }) => repo) } };
    }
    const usages = await tagUsages(call.registry, within.repo, page);
    return { answer: { parts: usages.map(ofTag), ...nextAfter(usages, n, ({ tag }) => tag) } };
  },
});

/** A page that is not full is the last. */
function nextAfter<T>(items: readonly T[], n: number, nameOf: (item: T) => string): { next?: string } {
  const last = items.length < n ? undefined : items.at(-1);
  return last === undefined ? {} : { next: nameOf(last) };
}

function ofRepository({ repo, ...sizes }: RepositoryUsage): PartUsage {
  return { target: repo, ...sizes };
}

function ofTag({ repo, tag, ...sizes }: TagUsage): PartUsage {
  return { target: `${repo}:${tag}`, ...sizes };
}
