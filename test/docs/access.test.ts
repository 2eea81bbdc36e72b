import { expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { actions } from '../../src/access/action.ts';
import { parseAccessRules } from '../../src/access/parse.ts';
import { AccessPolicy } from '../../src/access/policy.ts';
import { parseWho } from '../../src/access/who-text.ts';
import { readConfigFile } from '../../src/config/file.ts';
import { parseRepositoryName } from '../../src/oci/names.ts';
import { projectDirectory } from './documents.ts';

const page = readFileSync(join(projectDirectory, 'docs', 'access.md'), 'utf8');
const [, yaml = ''] = /^```yaml\n(auth:[^`]*)^```/m.exec(page) ?? [];

test('who may do what by the example is what the page says', () => {
  const { problems, access, groups } = readConfigFile('access.md', yaml);
  const parsed = parseAccessRules(access, groups);
  if (!parsed.ok || problems.length > 0)
    throw new Error([...problems, ...(parsed.ok ? [] : parsed.problems)].join('\n'));
  const policy = new AccessPolicy(parsed.rules);
  const rows = [...page.matchAll(/^\| (\S+) +\| (\S+) +\| (\S+) +\| (yes|no) +\|$/gm)];
  expect(rows.length).toBeGreaterThan(8);
  for (const [row, whoText = '', actionText, repoText = '', expected] of rows) {
    const who = parseWho(whoText, { groups: [], claims: {} });
    const action = actions.find((one) => one === actionText);
    const repo = parseRepositoryName(repoText);
    if (!who.ok || action === undefined || repo === undefined) throw new Error(`${row} makes no sense`);
    expect([row, policy.decide(who.identity, action, repo).allowed]).toEqual([row, expected === 'yes']);
  }
});

test('the page has every action', () => {
  expect(actions.filter((action) => !page.includes(`| \`${action}\` `))).toEqual([]);
});

test('the explanation of the example is the one that the command gives', async () => {
  const [, command = '', shown = ''] = /^\$ wherry (auth explain .*)\n([^`]*)^```/m.exec(page) ?? [];
  const directory = await mkdtemp(join(tmpdir(), 'wherry-docs-'));
  try {
    await writeFile(join(directory, 'wherry.yaml'), yaml);
    const child = Bun.spawn([process.execPath, join(projectDirectory, 'src', 'main.ts'), ...command.split(' ')], {
      cwd: directory,
      stdin: 'ignore',
      stdout: 'pipe',
    });
    expect(await child.stdout.text()).toBe(shown);
    expect(await child.exited).toBe(1);
  } finally {
    await rm(directory, { recursive: true });
  }
});
