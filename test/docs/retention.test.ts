import { expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { parseByteSize } from '../../src/config/byte-size.ts';
import { readConfigFile } from '../../src/config/file.ts';
import { convertPolicies, detectKind } from '../../src/retention/convert/convert.ts';
import { lintPolicies } from '../../src/retention/lint.ts';
import { parsePolicies } from '../../src/retention/parse.ts';
import type { Policy } from '../../src/retention/policy.ts';
import { ruleKeys, railKeys } from '../../src/retention/schema.ts';
import { decide, type Given } from '../retention/facts.ts';
import { projectDirectory } from './documents.ts';

const page = readFileSync(join(projectDirectory, 'docs', 'retention.md'), 'utf8');

/** Examples in YAML, the tables right behind them, and policies of others in JSON right before them. */
const examples = [
  ...page.matchAll(
    /(?:^```json\n(?<json>[^`]*)^```\n\n)?^```yaml\n(?<yaml>[^`]*)^```\n(?:\n(?<table>(?:\|[^\n]*\n)+))?/gm,
  ),
].map(({ groups = {} }, index) => ({
  title: `example ${index + 1}`,
  json: groups['json'],
  yaml: groups['yaml'] ?? '',
  table: groups['table'],
}));

const withTable = examples.flatMap(({ title, yaml, table }) => (table === undefined ? [] : [{ title, yaml, table }]));
const converted = examples.flatMap(({ title, json, yaml }) => (json === undefined ? [] : [{ title, json, yaml }]));

test('the page has examples of each kind', () => {
  expect(examples.length).toBe([...page.matchAll(/^```yaml$/gm)].length);
  expect([withTable.length, converted.length]).toEqual([7, 4]);
});

test.each(examples)(
  'the policies of an example are accepted as the configuration, without a remark: $title',
  ({ yaml }) => {
    expect(lintPolicies(policiesIn(yaml)).map(({ path, message }) => `${path} ${message}`)).toEqual(
      // What the last two have is as the page says: an entry of theirs that keeps nothing more is left as it is.
      [],
    );
  },
);

test.each(withTable)('what the page says of an example is what becomes of it: $title', ({ yaml, table }) => {
  const rows = rowsOf(table);
  const tags: Record<string, Given> = {};
  const untagged: Record<string, Given> = {};
  for (const [index, row] of rows.entries()) {
    const given = givenIn(row);
    if (row['tag'] === '(untagged)') untagged[`untagged ${index}`] = given;
    else tags[row['tag'] ?? ''] = given;
  }
  const [policy, ...others] = policiesIn(yaml);
  if (policy === undefined || others.length > 0) throw new Error('an example with a table has one policy');
  const verdicts = decide(policy, { tags, untagged });
  const outcomes = rows.map((row, index) => {
    const name = row['tag'] === '(untagged)' ? `untagged ${index}` : (row['tag'] ?? '');
    return [name, verdicts.get(name)?.action === 'prune' ? 'goes' : 'stays'];
  });
  const said = rows.map((row) => /^(?:goes|stays)\b/.exec(row['what becomes of it'] ?? '')?.[0]);
  expect(outcomes.map(([name], index) => [name, said[index]])).toEqual(outcomes);
});

test.each(converted)('what another registry has becomes what the page shows: $title', ({ json, yaml }) => {
  const given: unknown = JSON.parse(json);
  const kind = detectKind(given);
  const result = kind === undefined ? undefined : convertPolicies(kind, given);
  const shown: unknown = parse(yaml);
  const received: unknown = result?.ok === true ? { policies: result.conversion.policies } : result;
  expect(received).toEqual(shown);
});

test('the page has every key of a rule and every rail, with its default', () => {
  expect(ruleKeys.filter((key) => !page.includes(`\`${key}`))).toEqual([]);
  const table = rowsOf(/^\| key +\| default.*\n(?:\|.*\n)+/m.exec(page)?.[0] ?? '');
  const rails = new Map(table.map((row) => [row['key']?.replaceAll('`', '') ?? '', row['default']]));
  expect([...rails.keys()]).toEqual([...railKeys]);
  const written = parsePolicies([{ repositories: '**', default: 'keep', rails: Object.fromEntries(rails) }]);
  const left = parsePolicies([{ repositories: '**', default: 'keep' }]);
  expect(written.ok && left.ok ? written.policies[0]?.rails : written).toEqual(
    left.ok ? left.policies[0]?.rails : left,
  );
});

function policiesIn(yaml: string): readonly Policy[] {
  const { problems, policies } = readConfigFile('retention.md', yaml);
  const parsed = parsePolicies(policies?.value, policies?.whereIs);
  if (!parsed.ok || problems.length > 0)
    throw new Error([...problems, ...(parsed.ok ? [] : parsed.problems)].join('\n'));
  return parsed.policies;
}

/** The rows of a table, by its titles. */
function rowsOf(table: string): readonly Readonly<Record<string, string | undefined>>[] {
  const [titles = [], , ...rows] = table
    .trimEnd()
    .split('\n')
    .map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
  return rows.map((cells) => Object.fromEntries(titles.map((title, column) => [title, cells[column]])));
}

function givenIn(row: Readonly<Record<string, string | undefined>>): Given {
  const { pushed, tagged, pulled, layers } = row;
  return {
    ...(isAge(pushed) ? { pushed } : {}),
    ...(isAge(tagged) ? { tagged } : {}),
    ...(isAge(pulled) ? { pulled } : {}),
    ...(layers === undefined ? {} : { contents: Object.fromEntries(layers.split(', ').map(layerIn)) }),
  };
}

function isAge(cell: string | undefined): cell is string {
  return cell !== undefined && cell !== '' && cell !== 'never';
}

/** `base 500MB` */
function layerIn(text: string): readonly [string, number] {
  const [word = '', size = ''] = text.split(' ');
  const parsed = parseByteSize(size);
  if (!parsed.ok) throw new Error(`${text}: ${parsed.problem}`);
  return [word, parsed.sizeBytes];
}
