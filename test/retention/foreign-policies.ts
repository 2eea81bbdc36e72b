// What the tests translate, and docs/retention.md shows. Facts from the documentation of each, which is named.

/** examples/config-retention.json in project-zot/zot. */
export const zot = {
  storage: {
    gcDelay: '2h',
    retention: {
      dryRun: false,
      delay: '24h',
      policies: [
        {
          repositories: ['infra/*', 'prod/*'],
          deleteReferrers: false,
          keepTags: [{ patterns: ['v2.*', '.*-prod'] }, { patterns: ['v3.*', '.*-prod'], pulledWithin: '168h' }],
        },
        {
          repositories: ['tmp/**'],
          deleteReferrers: true,
          deleteUntagged: true,
          keepTags: [{ patterns: ['v1.*'], pulledWithin: '168h', pushedWithin: '168h' }],
        },
        {
          repositories: ['**'],
          deleteReferrers: true,
          deleteUntagged: true,
          keepTags: [
            {
              mostRecentlyPushedCount: 10,
              mostRecentlyPulledCount: 10,
              pulledWithin: '720h',
              pushedWithin: '720h',
            },
          ],
        },
      ],
    },
    subPaths: {
      '/a': { retention: { policies: [{ repositories: ['infra/*', 'prod/*'], deleteReferrers: false }] } },
    },
  },
};

/** What Harbor's API returns for one rule that was made in its web interface (unioslo/harborapi#44). */
export const harbor = {
  id: 1,
  algorithm: 'or',
  rules: [
    {
      id: null,
      priority: null,
      disabled: null,
      action: 'retain',
      template: 'latestPushedK',
      params: { latestPushedK: 5 },
      tag_selectors: [{ kind: 'doublestar', decoration: 'matches', pattern: '**', extras: '{"untagged":true}' }],
      scope_selectors: {
        repository: [{ kind: 'doublestar', decoration: 'repoMatches', pattern: '**', extras: null }],
      },
    },
  ],
  trigger: { kind: 'Schedule', settings: { cron: '' }, references: null },
  scope: { level: 'project', ref: 7 },
};

const expire = { type: 'expire' };

/** AWS, Amazon ECR User Guide, "Examples of lifecycle policies": filtering on image age. */
export const ecrByAge = {
  rules: [
    {
      rulePriority: 1,
      description: 'Expire images older than 14 days',
      selection: { tagStatus: 'untagged', countType: 'sinceImagePushed', countUnit: 'days', countNumber: 14 },
      action: expire,
    },
  ],
};

/** The same page, in its present form. */
export const ecrByAgeOfTags = {
  rules: [
    {
      rulePriority: 1,
      description: 'Expire images older than 14 days',
      selection: {
        tagStatus: 'tagged',
        tagPatternList: ['prod*'],
        countType: 'sinceImagePushed',
        countUnit: 'days',
        countNumber: 14,
      },
      action: expire,
    },
  ],
};

/** The same page: filtering on image count. */
export const ecrByCount = {
  rules: [
    {
      rulePriority: 1,
      description: 'Keep only one untagged image, expire all others',
      selection: { tagStatus: 'untagged', countType: 'imageCountMoreThan', countNumber: 1 },
      action: expire,
    },
  ],
};

/** The same page: filtering on multiple rules, example A. */
export const ecrProdFirst = {
  rules: [countOf('prod', 1, 'Rule 1'), countOf('beta', 2, 'Rule 2')],
};

/** The same page: filtering on multiple rules, example B. */
export const ecrBetaFirst = {
  rules: [countOf('beta', 1, 'Rule 1'), countOf('prod', 2, 'Rule 2')],
};

/** The same page: filtering on multiple tags in a single rule, example A. */
export const ecrSeveralPatterns = {
  rules: [
    {
      rulePriority: 1,
      description: 'Rule 1',
      selection: {
        tagStatus: 'tagged',
        tagPrefixList: ['alpha', 'beta'],
        countType: 'sinceImagePushed',
        countNumber: 5,
        countUnit: 'days',
      },
      action: expire,
    },
  ],
};

/** Google, "Configure cleanup policies" of Artifact Registry: a policy file. */
export const artifactRegistry = [
  {
    name: 'delete-prerelease',
    action: { type: 'Delete' },
    condition: { tagState: 'tagged', tagPrefixes: ['alpha', 'v0'], olderThan: '30d' },
  },
  {
    name: 'keep-tagged-release',
    action: { type: 'Keep' },
    condition: { tagState: 'tagged', tagPrefixes: ['release'], packageNamePrefixes: ['webapp', 'mobile'] },
  },
  {
    name: 'keep-minimum-versions',
    action: { type: 'Keep' },
    mostRecentVersions: { packageNamePrefixes: ['webapp', 'mobile', 'sandbox'], keepCount: 5 },
  },
];

/** Policies as the API of Artifact Registry has them. */
export const artifactRegistryById = {
  'delete-stale': { id: 'delete-stale', action: 'DELETE', condition: { tagState: 'ANY', olderThan: '86400s' } },
  'keep-new-untagged': {
    id: 'keep-new-untagged',
    action: 'KEEP',
    condition: { tagState: 'UNTAGGED', newerThan: '604800s' },
  },
  'keep-latest': { id: 'keep-latest', action: 'KEEP', mostRecentVersions: { keepCount: 5 } },
};

function countOf(prefix: string, rulePriority: number, description: string) {
  return {
    rulePriority,
    description,
    selection: {
      tagStatus: 'tagged',
      tagPrefixList: [prefix],
      countType: 'imageCountMoreThan',
      countNumber: 1,
    },
    action: expire,
  };
}
