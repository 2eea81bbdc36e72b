import { z } from 'zod';
import type { PolicyDefinition, RuleDefinition } from '../definition.ts';
import { parseTagPattern } from '../pattern.ts';
import { aboutRails, type ConversionRemark, type ConversionResult, remarksAboutUntagged } from './conversion.ts';
import { foreignDuration } from './foreign-durations.ts';
import { repositoryGlobs, unanchored } from './foreign-globs.ts';
import { problemsOf } from './problems.ts';

const duration = z.string().refine((text) => foreignDuration(text) !== undefined, { error: 'is not a duration of Go' });

const criteria = {
  mostRecentlyPushedCount: z.number().int().nonnegative().optional(),
  mostRecentlyPulledCount: z.number().int().nonnegative().optional(),
  pushedWithin: duration.optional(),
  pulledWithin: duration.optional(),
};

// Left out, its repositories would fall to a policy behind it, so such a pattern is refused.
const repositoryPattern = z.string().refine((text) => repositoryGlobs(text) !== undefined, {
  error: 'has no counterpart: write it as names and globs of *, ** and {a,b} first',
});

const policySchema = z.object({
  repositories: z.array(repositoryPattern).optional(),
  repoNames: z.array(repositoryPattern).optional(),
  deleteReferrers: z.boolean().optional(),
  deleteUntagged: z.boolean().optional(),
  keepTags: z.array(z.object({ patterns: z.array(z.string()).optional(), ...criteria })).optional(),
  keepUntagged: z.object(criteria).optional(),
});

const retentionSchema = z.object({
  dryRun: z.boolean().optional(),
  delay: duration.optional(),
  policies: z.array(policySchema),
});

const configSchema = z.object({
  storage: z.object({
    gcDelay: duration.optional(),
    retention: retentionSchema,
    subPaths: z.record(z.string(), z.object({ retention: z.unknown().optional() })).optional(),
  }),
});

type Criteria = Pick<
  RuleDefinition,
  'mostRecentlyPushedCount' | 'mostRecentlyPulledCount' | 'pushedWithin' | 'pulledWithin'
>;
type ZotPolicy = z.output<typeof policySchema>;

/** Translates zot's retention: a whole configuration of zot, or what stands in it under `retention`. */
export function convertZot(given: unknown): ConversionResult {
  const isWhole = given instanceof Object && 'storage' in given;
  const parsed = isWhole ? configSchema.safeParse(given) : wrapped.safeParse(given);
  if (!parsed.success) return { ok: false, problems: problemsOf(parsed.error) };
  const { retention, gcDelay, subPaths = {} } = parsed.data.storage;
  const remarks: ConversionRemark[] = [];
  const delay = foreignDuration(retention.delay ?? gcDelay ?? '1h') ?? '1h';
  const policies = retention.policies.flatMap((policy, index) =>
    convertPolicy(policy, `policies[${index}]`, delay, remarks),
  );
  for (const [path, { retention: own }] of Object.entries(subPaths)) {
    if (own === undefined) continue;
    remarks.push({
      path: `storage.subPaths[${path}].retention`,
      message: 'Left out: there are no sub-paths here. Convert it by itself, for the repositories below that path.',
    });
  }
  if (retention.dryRun === true) {
    remarks.push({
      path: 'dryRun',
      message: 'zot only logged what it would remove. Look at the plan before you let these run.',
    });
  }
  remarks.push(
    {
      path: 'delay',
      message: `It covers untagged manifests in zot, and is untaggedGrace here (${delay}). Tags went at once there; here they have a grace too.`,
    },
    {
      path: undefined,
      message:
        'In zot a push or a new tag does not renew the age of a digest that was there before; here it does. Tags that ' +
        'were never pulled share the last place there; here a push counts as a use.',
    },
    {
      path: undefined,
      message: 'In repositories under no policy zot removes untagged manifests; here retention leaves those alone.',
    },
    aboutRails,
    ...remarksAboutUntagged(policies),
  );
  return { ok: true, conversion: { policies, remarks } };
}

const wrapped = z
  .union([retentionSchema, z.object({ retention: retentionSchema }).transform(({ retention }) => retention)])
  .transform((retention) => ({ storage: { retention, gcDelay: undefined, subPaths: undefined } }));

function convertPolicy(
  policy: ZotPolicy,
  path: string,
  delay: string,
  remarks: ConversionRemark[],
): readonly PolicyDefinition[] {
  const repositories = (policy.repositories ?? policy.repoNames ?? []).flatMap(
    (pattern) => repositoryGlobs(pattern) ?? [],
  );
  if (repositories.length === 0) return [];
  if (policy.deleteReferrers !== true) {
    remarks.push({
      path: `${path}.deleteReferrers`,
      message: 'zot keeps referrers whose subject is gone; here they go with it.',
    });
  }
  const base = { repositories, rails: { untaggedGrace: delay } };
  const untagged = untaggedRules(policy);
  const keepTags = policy.keepTags ?? [];
  if (keepTags.length === 0) {
    const rules = untagged.isPruned
      ? [...untagged.keep, { action: 'prune' as const, tagState: 'untagged' as const }]
      : [];
    return [{ ...base, default: 'keep', rules }];
  }
  const tagRules = keepTags.flatMap((entry, index) => {
    const earlier = keepTags.slice(0, index);
    if (earlier.some((one) => (one.patterns ?? []).length === 0)) {
      remarks.push({ path: `${path}.keepTags[${index}]`, message: 'Left out: an entry before it takes every tag.' });
      return [];
    }
    return rulesOfEntry(
      entry,
      earlier.flatMap(({ patterns = [] }) => patterns),
      `${path}.keepTags[${index}]`,
      remarks,
    );
  });
  const keepUntagged = untagged.isPruned ? untagged.keep : [{ action: 'keep' as const, tagState: 'untagged' as const }];
  return [{ ...base, default: 'prune', rules: [...tagRules, ...keepUntagged] }];
}

function untaggedRules({ deleteUntagged = true, keepUntagged = {} }: ZotPolicy): {
  readonly isPruned: boolean;
  readonly keep: readonly RuleDefinition[];
} {
  const keep = eachCriterion(keepUntagged).map((one): RuleDefinition =>
    Object.assign({ action: 'keep' as const, tagState: 'untagged' as const }, one),
  );
  return { isPruned: deleteUntagged, keep };
}

/** The first entry whose patterns match a tag takes it, so each leaves out what entries before it match. */
function rulesOfEntry(
  entry: NonNullable<ZotPolicy['keepTags']>[number],
  earlier: readonly string[],
  path: string,
  remarks: ConversionRemark[],
): readonly RuleDefinition[] {
  const patterns = entry.patterns ?? [];
  const dead = patterns.filter((pattern) => earlier.includes(pattern));
  for (const pattern of dead) {
    remarks.push({ path, message: `${pattern} never decides: an entry before it has it too, and takes its tags.` });
  }
  const tags = expressions(
    patterns.filter((pattern) => !dead.includes(pattern)),
    path,
    remarks,
  );
  if (patterns.length > 0 && tags.length === 0) return [];
  const exclude = expressions(earlier, path, []);
  const selector = { ...(tags.length > 0 ? { tags } : {}), ...(exclude.length > 0 ? { exclude } : {}) };
  const criteriaOfEntry = eachCriterion(entry);
  if (criteriaOfEntry.length === 0) return [{ action: 'keep', ...selector }];
  return criteriaOfEntry.map((one): RuleDefinition => Object.assign({ action: 'keep' as const }, selector, one));
}

function expressions(patterns: readonly string[], path: string, remarks: ConversionRemark[]): readonly string[] {
  return patterns.flatMap((pattern) => {
    const expression = unanchored(pattern);
    if (!parseTagPattern(expression).ok) {
      remarks.push({ path, message: `Left out, write it by hand: ${pattern} is not a regular expression here.` });
      return [];
    }
    const isAnchored =
      expression === `/${pattern}/` || expression === `/${pattern.replace(/^\^/, '').replace(/\$$/, '')}/`;
    if (!isAnchored) {
      remarks.push({
        path,
        message: `${pattern} is not anchored in zot: it matches anywhere in a tag, so it is ${expression} here. If it was meant to match the whole tag, write /${pattern}/.`,
      });
    }
    return [expression];
  });
}

/** In zot, any of the criteria of an entry is enough; here, all criteria of a rule must hold: a rule for each. */
function eachCriterion(entry: z.output<z.ZodObject<typeof criteria>>): readonly Criteria[] {
  const { mostRecentlyPulledCount, mostRecentlyPushedCount, pulledWithin, pushedWithin } = entry;
  return [
    mostRecentlyPulledCount === undefined ? [] : [{ mostRecentlyPulledCount }],
    mostRecentlyPushedCount === undefined ? [] : [{ mostRecentlyPushedCount }],
    pulledWithin === undefined ? [] : [{ pulledWithin: foreignDuration(pulledWithin) ?? pulledWithin }],
    pushedWithin === undefined ? [] : [{ pushedWithin: foreignDuration(pushedWithin) ?? pushedWithin }],
  ].flat();
}
