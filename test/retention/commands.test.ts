import { afterAll, beforeAll, expect, test } from 'bun:test';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parse } from 'yaml';
import { convertPolicies } from '../../src/retention/convert/convert.ts';
import { projectDirectory } from '../docs/documents.ts';
import * as examples from './foreign-policies.ts';

const main = path.join(projectDirectory, 'src', 'main.ts');
let directory = '';

beforeAll(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'wherry-retention-'));
});

afterAll(async () => {
  await rm(directory, { recursive: true, force: true });
});

/** Runs `wherry retention` on a file of this text, which is named FILE in what it prints. */
async function retention(args: readonly string[], text: string) {
  const file = path.join(directory, 'given');
  await writeFile(file, text);
  const child = Bun.spawn([process.execPath, main, 'retention', ...args.map((arg) => (arg === 'FILE' ? file : arg))], {
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
  });
  const [out, err, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  return { out: out.replaceAll(file, 'FILE'), err: err.replaceAll(file, 'FILE'), code };
}

test('convert finds out whose policies they are, and prints YAML that is read as what was translated', async () => {
  const { out, err, code } = await retention(['convert', 'FILE'], JSON.stringify(examples.zot));
  const result = convertPolicies('zot', examples.zot);
  expect([err, code]).toEqual(['', 0]);
  expect(out).toStartWith('# Translated from zot. Where the effect differs:\n# - policies[0].deleteReferrers: ');
  expect(parse(out)).toEqual({ policies: result.ok ? result.conversion.policies : [] });
});

test('convert takes the repository that the policies were for', async () => {
  const { out } = await retention(
    ['convert', 'FILE', '--from', 'ecr', '--repository', 'app'],
    JSON.stringify(examples.ecrByAge),
  );
  expect(out).toContain('\npolicies:\n  - repositories: app\n    default: keep\n');
});

test.each([
  ['{}', [], 'FILE: it cannot be told whose policies these are: say --from zot|harbor|ecr|artifact-registry\n', 2],
  ['{', [], 'wherry cannot read FILE: ', 2],
  ['{}', ['--from', 'ecr'], 'FILE: these are no policies of ecr:\n  rules: ', 1],
  ['{}', ['--from', 'quay'], "error: option '--from <registry>' argument 'quay' is invalid.", 2],
  [
    JSON.stringify(examples.ecrByAge),
    ['--repository', 'App'],
    'FILE: translated, these policies are not accepted:\n  policies[0].repositories cannot be "App"',
    1,
  ],
])('convert of %j with %j ends with words', async (text, flags, words, exitCode) => {
  const { out, err, code } = await retention(['convert', 'FILE', ...flags], text);
  expect(err).toStartWith(words);
  expect([out, code]).toEqual(['', exitCode]);
});

const sound =
  'policies:\n  - repositories: team/**\n    default: keep\n    rules:\n      - { action: prune, olderThan: 90d }\n';

test('check has nothing to say of sound policies, and remarks on what can never matter', async () => {
  expect(await retention(['check', 'FILE'], sound)).toEqual({
    out: 'FILE: 1 policy, nothing to remark.\n',
    err: '',
    code: 0,
  });
  expect(await retention(['check', 'FILE'], `${sound}  - repositories: team/app\n    default: prune\n`)).toEqual({
    out:
      'FILE:6: policies[1] never applies: every repository that it matches is taken by policies[0], which comes before it\n' +
      'FILE:6: policies[1] keeps nothing but what the rails keep: no rule keeps, and neither does the default\n' +
      'FILE: 2 policies, 2 to look at.\n',
    err: '',
    code: 0,
  });
});

test('check fails for policies that would be refused, for a file without any, and for one that is not there', async () => {
  expect(await retention(['check', 'FILE'], sound.replace('olderThan', 'olderThn'))).toEqual({
    out: 'FILE:5: policies[0].rules[0].olderThn is not a setting (did you mean olderThan?)\n',
    err: '',
    code: 1,
  });
  expect(await retention(['check', 'FILE'], 'data: here\n')).toEqual({
    out: 'FILE: there are no policies in it\n',
    err: '',
    code: 1,
  });
  expect((await retention(['check', 'gone.yaml'], '')).err).toStartWith('wherry cannot read gone.yaml: ENOENT');
});

test('check prints JSON for programs', async () => {
  const { out } = await retention(['check', '--json', 'FILE'], sound.replace('prune', 'keep'));
  expect(JSON.parse(out)).toEqual({
    problems: [],
    remarks: [
      { where: 'FILE:2', path: 'policies[0]', message: 'prunes nothing: no rule prunes, and neither does the default' },
    ],
    policies: 1,
  });
});

test('a server is not started with policies that would be refused', async () => {
  const file = path.join(directory, 'wherry.yaml');
  await writeFile(file, 'policies:\n  - repositories: "**"\n');
  const child = Bun.spawn([process.execPath, main, 'serve', '--config', file, '--data', path.join(directory, 'data')], {
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
  });
  const [err, code] = await Promise.all([child.stderr.text(), child.exited]);
  expect(err).toStartWith('wherry cannot start with this configuration:\n');
  expect(err).toContain(`  ${file}:2: policies[0].default must be written out`);
  expect(code).toBe(2);
});
