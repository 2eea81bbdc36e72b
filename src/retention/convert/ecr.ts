import { z } from 'zod';
import type { PolicyDefinition, RuleDefinition } from '../definition.ts';
import { parseTagPattern } from '../pattern.ts';
import {
  aboutRails,
  aboutTags,
  remarksAboutUntagged,
  type ConversionOptions,
  type ConversionRemark,
  type ConversionResult,
} from './conversion.ts';
import { days } from './foreign-durations.ts';
import { problemsOf } from './problems.ts';

const pattern = z
  .string()
  .refine((text) => parseTagPattern(text).ok && !text.includes('?'), { error: 'is no pattern for tags' });

const ruleSchema = z.object({
  rulePriority: z.number().int().positive(),
  description: z.string().optional(),
  selection: z.object({
    tagStatus: z.enum(['tagged', 'untagged', 'any']),
    tagPatternList: z.array(pattern).optional(),
    tagPrefixList: z.array(pattern).optional(),
    storageClass: z.enum(['standard', 'archive']).optional(),
    countType: z.enum(['imageCountMoreThan', 'sinceImagePushed', 'sinceImagePulled', 'sinceImageTransitioned']),
    countUnit: z.literal('days').optional(),
    countNumber: z.number().int().positive(),
  }),
  action: z.object({ type: z.enum(['expire', 'transition']) }),
});

const policySchema = z.object({ rules: z.array(ruleSchema) });

type EcrRule = z.output<typeof ruleSchema>;

/** What the rules so far have named; no rule of a lower priority may expire that. */
interface Named {
  readonly tags: readonly string[];
  readonly hasAllTags: boolean;
  readonly hasUntagged: boolean;
}

/** Translates a lifecycle policy of a repository of ECR, or what `aws ecr get-lifecycle-policy` prints. */
export function convertEcr(given: unknown, { repository }: ConversionOptions): ConversionResult {
  const parsed = policySchema.safeParse(unwrapped(given));
  if (!parsed.success) return { ok: false, problems: problemsOf(parsed.error) };
  const remarks: ConversionRemark[] = [];
  const rules: RuleDefinition[] = [];
  let named: Named = { tags: [], hasAllTags: false, hasUntagged: false };
  const byPriority = parsed.data.rules
    .map((rule, index) => ({ rule, path: `rules[${index}]` }))
    .sort((one, other) => one.rule.rulePriority - other.rule.rulePriority);
  for (const { rule, path } of byPriority) {
    const problem = untranslatable(rule);
    if (problem === undefined) rules.push(...rulesOf(rule, path, named, remarks));
    else remarks.push({ path, message: `Left out, so it removes nothing: ${problem}.` });
    if (!isAboutArchive(rule)) named = withNamed(named, rule);
  }
  if (repository === undefined) {
    remarks.push({
      path: undefined,
      message: 'It was for one repository; here it is for all. Give its name to have it for that alone.',
    });
  }
  const policies: readonly PolicyDefinition[] = [{ repositories: repository ?? '**', default: 'keep', rules }];
  remarks.push(
    aboutTags,
    {
      path: undefined,
      message:
        'In ECR a new tag on an image that was there before does not renew its age; here pushing a tag does. What was ' +
        'never pulled counts from its push, here and there.',
    },
    aboutRails,
    ...remarksAboutUntagged(policies),
  );
  return { ok: true, conversion: { policies, remarks } };
}

function unwrapped(given: unknown): unknown {
  if (!(given instanceof Object) || !('lifecyclePolicyText' in given)) return given;
  const text = given.lifecyclePolicyText;
  try {
    return typeof text === 'string' ? JSON.parse(text) : text;
  } catch {
    return undefined;
  }
}

function isAboutArchive({ selection, action }: EcrRule): boolean {
  return (
    action.type === 'transition' ||
    selection.storageClass === 'archive' ||
    selection.countType === 'sinceImageTransitioned'
  );
}

function untranslatable(rule: EcrRule): string | undefined {
  const { selection } = rule;
  if (isAboutArchive(rule)) return 'it is about the archive, and there is none here';
  if (patternsOf(selection).length > 1) return 'it asks for images that have a tag for each of its patterns';
  if (selection.tagStatus === 'tagged' && patternsOf(selection).length === 0) return 'it names no tags';
  return undefined;
}

/**
 * A rule for what is to go, and before it, where it counts, one for what is not. Both leave out what rules of a higher
 * priority name.
 */
function rulesOf(rule: EcrRule, path: string, named: Named, remarks: ConversionRemark[]): readonly RuleDefinition[] {
  const { tagStatus } = rule.selection;
  const { countType, countNumber } = rule.selection;
  if (countType === 'imageCountMoreThan' && named.tags.length > 0 && tagStatus !== 'untagged') {
    remarks.push({
      path,
      message:
        'ECR also counts images that rules of a higher priority name; here only the others are counted, so it keeps more.',
    });
  }
  if (countType === 'imageCountMoreThan' && tagStatus === 'any') {
    remarks.push({
      path,
      message: 'ECR counts tagged and untagged images together; here each kind has the whole count.',
    });
  }
  return selectionsOf(rule, named).flatMap((selection): RuleDefinition[] => {
    switch (countType) {
      case 'imageCountMoreThan':
        return [
          { action: 'keep', ...selection, mostRecentlyPushedCount: countNumber },
          { action: 'prune', ...selection },
        ];
      case 'sinceImagePushed':
        return [{ action: 'prune', ...selection, olderThan: days(countNumber) }];
      case 'sinceImagePulled':
        return [{ action: 'prune', ...selection, notPulledFor: days(countNumber) }];
      case 'sinceImageTransitioned':
        return [];
    }
  });
}

function selectionsOf({ selection, description }: EcrRule, named: Named): readonly Omit<RuleDefinition, 'action'>[] {
  const name = description === undefined || description === '' ? {} : { name: description.slice(0, 100) };
  const tags = patternsOf(selection).filter((glob) => glob !== '*');
  const exclude = named.tags.length > 0 ? { exclude: named.tags } : {};
  const tagged = { ...name, ...(tags.length > 0 ? { tags } : {}), ...exclude };
  const untagged = { ...name, tagState: 'untagged' as const };
  const isTagged = selection.tagStatus !== 'untagged' && !named.hasAllTags;
  const isUntagged = selection.tagStatus !== 'tagged' && !named.hasUntagged;
  return [...(isTagged ? [tagged] : []), ...(isUntagged ? [untagged] : [])];
}

function withNamed(named: Named, { selection }: EcrRule): Named {
  const patterns = patternsOf(selection);
  return {
    tags: [...new Set([...named.tags, ...patterns])],
    hasAllTags: named.hasAllTags || selection.tagStatus === 'any' || patterns.includes('*'),
    hasUntagged: named.hasUntagged || selection.tagStatus !== 'tagged',
  };
}

function patternsOf({ tagPatternList = [], tagPrefixList = [] }: EcrRule['selection']): readonly string[] {
  return [...tagPatternList, ...tagPrefixList.map((prefix) => `${prefix}*`)].map((glob) =>
    glob.replaceAll(/\*+/g, '*'),
  );
}
