import { z } from 'zod';
import type { RuleDefinition } from '../definition.ts';
import {
  aboutRails,
  aboutTags,
  remarksAboutUntagged,
  type ConversionOptions,
  type ConversionRemark,
  type ConversionResult,
} from './conversion.ts';
import { days } from './foreign-durations.ts';
import { repositoryGlobs, tagGlobs } from './foreign-globs.ts';
import { problemsOf } from './problems.ts';
import { policiesOfScopes, type ScopedRules } from './scopes.ts';

const repositorySelector = z.object({
  decoration: z.enum(['repoMatches', 'repoExcludes']),
  // Left out, its repositories would be judged by other rules alone, so such a pattern is refused.
  pattern: z.string().refine((text) => repositoryGlobs(text) !== undefined, {
    error: 'has no counterpart: write it with nothing but *, ** and {a,b} first',
  }),
});

const ruleSchema = z.object({
  disabled: z.boolean().nullish(),
  action: z.string().nullish(),
  template: z.string(),
  params: z.record(z.string(), z.unknown()).nullish(),
  tag_selectors: z.array(
    z.object({
      decoration: z.enum(['matches', 'excludes']),
      pattern: z.string().refine((text) => tagGlobs(text) !== undefined, {
        error: 'has no counterpart: write it with nothing but *, ** and {a,b} first',
      }),
      extras: z.string().nullish(),
    }),
  ),
  scope_selectors: z.object({ repository: z.array(repositorySelector) }),
});

const policySchema = z.object({
  algorithm: z.literal('or').nullish(),
  rules: z.array(ruleSchema).max(15),
});

type HarborRule = z.output<typeof ruleSchema>;

/** Translates a retention policy of a project of Harbor, as its API returns it. */
export function convertHarbor(given: unknown, { repository: project }: ConversionOptions): ConversionResult {
  const parsed = policySchema.safeParse(given);
  if (!parsed.success) return { ok: false, problems: problemsOf(parsed.error) };
  const remarks: ConversionRemark[] = [];
  const scopes = parsed.data.rules.flatMap((rule, index) => scopeOf(rule, `rules[${index}]`, project, remarks));
  const { policies, remarks: aboutScopes } = policiesOfScopes(scopes, { default: 'prune' });
  remarks.push(...aboutScopes);
  if (project === undefined) {
    remarks.push({
      path: 'scope',
      message:
        'It was for one project, which is named by a number there; here it is for all repositories. Give the name of the project to have it for that alone.',
    });
  }
  remarks.push(
    aboutTags,
    {
      path: undefined,
      message:
        'Harbor selects an image by any of its tags: one that is tagged latest and v1 is selected by a pattern for v1, and ' +
        'so it is where latest is excluded. Here a pattern is about the tag that it matches.',
    },
    {
      path: undefined,
      message: 'Immutable tags of Harbor stay whatever the rules say. Pin those here (wherry pin).',
    },
    {
      path: 'trigger',
      message: 'There is no schedule here: each tag is looked at when it is due.',
    },
    aboutRails,
    ...remarksAboutUntagged(policies),
  );
  return { ok: true, conversion: { policies, remarks } };
}

function scopeOf(
  rule: HarborRule,
  path: string,
  project: string | undefined,
  remarks: ConversionRemark[],
): readonly ScopedRules[] {
  if (rule.disabled === true) {
    remarks.push({ path, message: 'Left out: it is disabled.' });
    return [];
  }
  const criterion = criterionOf(rule);
  if (criterion === undefined) {
    remarks.push({ path, message: `Left out, because it keeps nothing: ${rule.template}.` });
    return [];
  }
  const named = (decoration: string): readonly string[] =>
    rule.scope_selectors.repository
      .filter((selector) => selector.decoration === decoration)
      .flatMap(({ pattern }) => repositoryGlobs(pattern) ?? [])
      .map((glob) => (project === undefined ? glob : `${project}/${glob}`));
  const matches = named('repoMatches');
  const everywhere = project === undefined ? '**' : `${project}/**`;
  if (rule.template === 'latestPulledN') {
    remarks.push({
      path,
      message:
        'In Harbor what was never pulled comes last; here a push counts as a use, so that nothing goes for being new.',
    });
  }
  return [
    {
      path,
      repositories: matches.length > 0 ? matches : [everywhere],
      except: named('repoExcludes'),
      rules: rulesOf(rule, criterion, path, remarks),
    },
  ];
}

function rulesOf(
  { tag_selectors: selectors }: HarborRule,
  criterion: Partial<RuleDefinition>,
  path: string,
  remarks: ConversionRemark[],
): readonly RuleDefinition[] {
  const [first, ...more] = selectors.filter(({ decoration }) => decoration === 'matches');
  if (more.length > 0) {
    remarks.push({
      path,
      message: `Only the first of its patterns for tags is here, so it keeps more: ${first?.pattern}.`,
    });
  }
  const tags = globsOf(first?.pattern ?? '**');
  const exclude = selectors
    .filter(({ decoration }) => decoration === 'excludes')
    .flatMap(({ pattern }) => tagGlobs(pattern) ?? []);
  const rule: RuleDefinition = {
    action: 'keep',
    ...(tags.length > 0 ? { tags } : {}),
    ...(exclude.length > 0 ? { exclude } : {}),
    ...criterion,
  };
  if (!selectors.every(hasUntagged)) return [rule];
  if ('mostRecentlyPushedCount' in criterion || 'mostRecentlyPulledCount' in criterion) {
    remarks.push({
      path,
      message: 'Harbor counts tagged and untagged images together; here each kind has the whole count.',
    });
  }
  return [rule, { action: 'keep', tagState: 'untagged', ...criterion }];
}

/** No patterns for one that matches every tag. */
function globsOf(pattern: string): readonly string[] {
  const globs = tagGlobs(pattern) ?? [];
  return globs.includes('*') ? [] : globs;
}

/** Whether untagged images are meant too: where it does not say, those of `matches` are. */
function hasUntagged({ decoration, extras }: HarborRule['tag_selectors'][number]): boolean {
  const given = /"untagged"\s*:\s*(true|false)/.exec(extras ?? '')?.[1];
  return given === undefined ? decoration === 'matches' : given === 'true';
}

/** What its template asks for; undefined where that is nothing. */
function criterionOf({ template, params }: HarborRule): Partial<RuleDefinition> | undefined {
  const number = Number(params?.[template] ?? NaN);
  if (template === 'always') return {};
  if (!Number.isInteger(number) || number < 1) return undefined;
  switch (template) {
    case 'latestPushedK':
      return { mostRecentlyPushedCount: number };
    // The latest of pull and push, which is what counts as a use here.
    case 'latestActiveK':
    case 'latestPulledN':
      return { mostRecentlyPulledCount: number };
    case 'nDaysSinceLastPush':
    case 'lastXDays':
      return { pushedWithin: days(number) };
    case 'nDaysSinceLastPull':
      return { pulledWithin: days(number) };
    default:
      return undefined;
  }
}
