import { expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readConfigFile } from '../../src/config/file.ts';
import { ImmutabilitySet } from '../../src/immutability/immutability-set.ts';
import { namesIn } from '../../src/immutability/schema.ts';
import { parseRepositoryName, parseTagName } from '../../src/oci/names.ts';
import { projectDirectory } from './documents.ts';

const page = readFileSync(join(projectDirectory, 'docs', 'immutability.md'), 'utf8');

test.each([
  ['team/app', 'v1', 'releases'],
  ['team/app', '1.2.3', 'releases'],
  ['team/app', 'v1-rc1', undefined],
  ['archive/2029/app', 'latest', 'archive'],
])('by the rules of the example %s:%s is immutable by %s', (repository, name, rule) => {
  const [, yaml = ''] = /^```yaml\n([^`]*)^```/m.exec(page) ?? [];
  const { problems, immutable } = readConfigFile('immutability.md', yaml);
  const parsed = ImmutabilitySet.parse(immutable?.value, immutable?.whereIs);
  if (!parsed.ok || problems.length > 0)
    throw new Error([...problems, ...(parsed.ok ? [] : parsed.problems)].join('\n'));
  const [repo, tag] = [parseRepositoryName(repository), parseTagName(name)];
  if (repo === undefined || tag === undefined) throw new Error('the test made a mistake');
  expect(parsed.set.ofTag(repo, tag)).toBe(rule);
});

test('the page has every key of a rule', () => {
  expect(namesIn().filter((key) => !page.includes(`\`${key}\``))).toEqual([]);
});
