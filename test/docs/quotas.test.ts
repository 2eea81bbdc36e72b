import { expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { allRights } from '../../src/access/rights.ts';
import { readConfigFile } from '../../src/config/file.ts';
import { overQuotaProblem, warningHeaders } from '../../src/http/oci/quotas.ts';
import { parseRepositoryName } from '../../src/oci/names.ts';
import { QuotaSet } from '../../src/quotas/quota-set.ts';
import { quotaKeys } from '../../src/quotas/schema.ts';
import { projectDirectory } from './documents.ts';

const page = readFileSync(join(projectDirectory, 'docs', 'quotas.md'), 'utf8');

function example(): QuotaSet {
  const [, yaml = ''] = /^```yaml\n([^`]*)^```/m.exec(page) ?? [];
  const { problems, quotas } = readConfigFile('quotas.md', yaml);
  const parsed = QuotaSet.parse(quotas?.value, quotas?.whereIs);
  if (!parsed.ok || problems.length > 0)
    throw new Error([...problems, ...(parsed.ok ? [] : parsed.problems)].join('\n'));
  return parsed.set;
}

test('each repository of the example is under the quota that the page says', () => {
  const rows = [...page.matchAll(/^\| ([a-z]+(?:\/[a-z]+)*) +\| ([a-z ]+?) +\| /gm)].slice(1);
  expect(rows).toHaveLength(5);
  for (const [, name = '', quota] of rows) {
    const repo = parseRepositoryName(name);
    if (repo === undefined) throw new Error(`${name} is no repository`);
    expect([name, example().of(repo)?.name ?? 'none']).toEqual([name, quota ?? '']);
  }
});

test('the warning of the example is the one that clients get', () => {
  const team = example().quotas.find(({ name }) => name === 'team');
  const { soft = 0, hard } = team?.bytes ?? {};
  const call = { registry: { quotas: example() }, rights: allRights };
  const repo = parseRepositoryName('team/app');
  if (repo === undefined) throw new Error('team/app is no repository');
  const { warning } = warningHeaders(call, repo, [{ quota: 'team', kind: 'bytes', soft, hard }]);
  expect(page).toContain(`\nWarning: ${warning}\n`);
});

test('the page has every key of a quota, and what a refusal names', () => {
  expect(quotaKeys.filter((key) => !page.includes(`\`${key}\``))).toEqual([]);
  const repo = parseRepositoryName('team/app');
  if (repo === undefined) throw new Error('team/app is no repository');
  const call = { registry: { quotas: example() }, rights: allRights };
  const over = { quota: 'team', kind: 'bytes', used: 1, limit: 2, wanted: 3, isFirst: true } as const;
  const { message } = overQuotaProblem(call, repo, over);
  expect(message).toContain('wherry trash empty');
  expect(page).toContain('wherry trash empty');
});
