import { z } from 'zod';
import { byteSize, wholeNumber } from '../config/setting-types.ts';
import { bool, group, name, oneOrMore, repositoryGlob, value } from '../retention/document-schema.ts';
import type { Glob } from '../retention/glob.ts';
import type { QuotaLimits } from '../registry/quotas.ts';

/** More than this are a mistake; the bound keeps small what it takes to find the one that a repository is under. */
const mostQuotas = 100;

const size = value(byteSize({ min: '0B', max: '1000000GiB' }));
const count = value(wholeNumber({ min: 0, max: 1_000_000_000 }));

/** A quota as it is written. */
export interface QuotaDefinition {
  /** Undefined where nobody has named it. */
  readonly name: string | undefined;
  readonly repositories: readonly Glob[];
  readonly each: boolean;
  readonly bytes: QuotaLimits;
  readonly tags: QuotaLimits;
}

const limitsShape = { soft: z.unknown(), hard: z.unknown() };

function limits(amount: z.ZodType<number>): z.ZodType<QuotaLimits> {
  return group({ soft: amount.optional(), hard: amount.optional() }).transform(({ soft, hard }, context) => {
    if (soft === undefined && hard === undefined) {
      context.addIssue({ code: 'custom', message: 'limits nothing: give soft, hard or both' });
    }
    if (soft !== undefined && hard !== undefined && soft > hard) {
      const message = 'is more than hard: a push would be refused before anybody is warned';
      context.addIssue({ code: 'custom', path: ['soft'], message });
    }
    return { soft, hard };
  });
}

const unlimited: QuotaLimits = { soft: undefined, hard: undefined };

const quotaShape = {
  name: name.optional(),
  repositories: oneOrMore(repositoryGlob),
  each: bool.default(false),
  bytes: limits(size).default(unlimited),
  tags: limits(count).default(unlimited),
};

/** What the key `quotas` holds. */
export const quotasSchema: z.ZodType<readonly QuotaDefinition[]> = z
  .array(
    group(quotaShape).transform((quota, context) => {
      const limited = [quota.bytes, quota.tags].flatMap(({ soft, hard }) => [soft, hard]);
      if (limited.every((limit) => limit === undefined)) {
        context.addIssue({ code: 'custom', message: 'limits nothing: give bytes, tags or both' });
      }
      return { ...quota, name: quota.name };
    }),
    { error: 'is a list of quotas' },
  )
  .max(mostQuotas, { error: `has more than ${mostQuotas} quotas` });

/** The names that may stand where a problem's path leads, for the nearest spelling. */
export function namesIn(path: readonly PropertyKey[]): readonly string[] {
  const last = path.findLast((part) => typeof part === 'string');
  return Object.keys(last === 'bytes' || last === 'tags' ? limitsShape : quotaShape);
}

/** The names of all that a quota may have. */
export const quotaKeys: readonly string[] = Object.keys(quotaShape);
