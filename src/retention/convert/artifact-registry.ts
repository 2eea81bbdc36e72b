import { z } from 'zod';
import type { RuleDefinition } from '../definition.ts';
import { parseRepositoryGlob, parseTagPattern } from '../pattern.ts';
import {
  aboutRails,
  aboutTags,
  remarksAboutUntagged,
  type ConversionOptions,
  type ConversionRemark,
  type ConversionResult,
} from './conversion.ts';
import { foreignDuration } from './foreign-durations.ts';
import { problemsOf } from './problems.ts';
import { policiesOfScopes, type ScopedRules } from './scopes.ts';

// No time at all, which its API drops anyway, is the same as none given.
const duration = z
  .string()
  .refine((text) => /^0+s?$/.test(text) || foreignDuration(text) !== undefined, { error: 'is not a length of time' })
  .transform((text) => foreignDuration(text));
const packagePrefixes = z
  .array(z.string().refine((text) => parseRepositoryGlob(`${text}**`).ok, { error: 'is no beginning of a repository' }))
  .optional();

const policySchema = z.object({
  id: z.string().optional(),
  name: z.string().optional(),
  action: z
    .union([z.string(), z.object({ type: z.string() }).transform(({ type }) => type)])
    .transform((word) => word.toLowerCase())
    .pipe(z.enum(['delete', 'keep'])),
  condition: z
    .object({
      tagState: z
        .string()
        .transform((word) => word.toLowerCase())
        .pipe(z.enum(['tagged', 'untagged', 'any', 'tag_state_unspecified']))
        .optional(),
      tagPrefixes: z
        .array(z.string().refine((text) => parseTagPattern(`${text}*`).ok, { error: 'is no beginning of a tag' }))
        .optional(),
      versionNamePrefixes: z.array(z.string()).optional(),
      packageNamePrefixes: packagePrefixes,
      olderThan: duration.optional(),
      newerThan: duration.optional(),
    })
    .optional(),
  mostRecentVersions: z
    .object({ packageNamePrefixes: packagePrefixes, keepCount: z.number().int().positive() })
    .optional(),
});

const policiesSchema = z.array(policySchema);

type CleanupPolicy = z.output<typeof policySchema>;

/** Translates cleanup policies of a repository of Artifact Registry: a policy file, or the repository as its API has it. */
export function convertArtifactRegistry(given: unknown, { repository }: ConversionOptions): ConversionResult {
  const parsed = policiesSchema.safeParse(listOf(given));
  if (!parsed.success) return { ok: false, problems: problemsOf(parsed.error) };
  const remarks: ConversionRemark[] = [];
  const scopes = parsed.data.flatMap((policy, index) => scopeOf(policy, `[${index}]`, repository, remarks));
  const { policies, remarks: aboutScopes } = policiesOfScopes(scopes, { default: 'keep' });
  remarks.push(...aboutScopes);
  if (repository === undefined) {
    remarks.push({
      path: undefined,
      message:
        'It was for one repository; here it is for all. Give the path that its packages have here to have it for those alone.',
    });
  }
  remarks.push(
    aboutTags,
    {
      path: undefined,
      message: 'Ages count from the upload there; here pushing a tag anew renews the age of the tag.',
    },
    aboutRails,
    ...remarksAboutUntagged(policies),
  );
  return { ok: true, conversion: { policies, remarks } };
}

/** As a list: a policy file is one, the API has policies by their ids. */
function listOf(given: unknown): unknown {
  if (Array.isArray(given) || !(given instanceof Object)) return given;
  const byId: unknown = 'cleanupPolicies' in given ? given.cleanupPolicies : given;
  return byId instanceof Object && !('action' in byId) ? Object.values(byId) : [byId];
}

function scopeOf(
  policy: CleanupPolicy,
  path: string,
  repository: string | undefined,
  remarks: ConversionRemark[],
): readonly ScopedRules[] {
  const { condition = {}, mostRecentVersions, action } = policy;
  if (condition.versionNamePrefixes !== undefined && action === 'delete') {
    remarks.push({ path, message: 'Left out, so it removes nothing: digests cannot be named by how they begin.' });
    return [];
  }
  if (condition.versionNamePrefixes !== undefined) {
    remarks.push({ path, message: 'It keeps more here: digests cannot be named by how they begin, so all are kept.' });
  }
  const prefixes = mostRecentVersions?.packageNamePrefixes ?? condition.packageNamePrefixes ?? [];
  const below = repository === undefined ? '' : `${repository}/`;
  return [
    {
      path,
      repositories: prefixes.length === 0 ? [`${below}**`] : prefixes.map((prefix) => `${below}${prefix}**`),
      except: [],
      rules:
        mostRecentVersions === undefined
          ? conditionRules(policy)
          : countRules(policy, mostRecentVersions.keepCount, path, remarks),
    },
  ];
}

function conditionRules(policy: CleanupPolicy): readonly RuleDefinition[] {
  const { tagState, tagPrefixes = [], olderThan, newerThan } = policy.condition ?? {};
  const tags = tagPrefixes.map((prefix) => `${prefix}*`);
  const isNamed = tags.length > 0 && !tags.includes('*');
  const state = tagState === undefined || tagState === 'tag_state_unspecified' ? 'any' : tagState;
  // A prefix is of a tag, so untagged versions are not meant where there is one.
  const selector = isNamed ? { tags } : state === 'tagged' ? {} : { tagState: state };
  return [
    {
      ...nameOf(policy),
      action: policy.action === 'delete' ? 'prune' : 'keep',
      ...selector,
      ...(olderThan === undefined ? {} : { olderThan }),
      ...(newerThan === undefined ? {} : { pushedWithin: newerThan }),
    },
  ];
}

function countRules(
  policy: CleanupPolicy,
  mostRecentlyPushedCount: number,
  path: string,
  remarks: ConversionRemark[],
): readonly RuleDefinition[] {
  remarks.push({
    path,
    message:
      'Versions are counted there, tagged and untagged together; here tags and untagged manifests have the whole count each.',
  });
  return [{ ...nameOf(policy), action: 'keep', tagState: 'any', mostRecentlyPushedCount }];
}

function nameOf({ id, name }: CleanupPolicy): { readonly name?: string } {
  const given = name ?? id;
  return given === undefined || given === '' ? {} : { name: given.slice(0, 100) };
}
