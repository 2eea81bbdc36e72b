import { expect, test } from 'bun:test';
import { readConfigFile } from './file.ts';

const read = (text: string) => readConfigFile('wherry.yaml', text);

test('settings stand nested, and each is found with its line', () => {
  const text =
    'data: /srv\n# a comment\nwindows:\n  lease: 0\n  trash: 1h\nhttp:\n  trustedProxies: [10.0.0.0/8, "::1"]\n';
  expect(read(text)).toEqual({
    found: [
      { name: 'data', value: '/srv', kind: 'file', where: 'wherry.yaml:1' },
      { name: 'windows.lease', value: '0', kind: 'file', where: 'wherry.yaml:4' },
      { name: 'windows.trash', value: '1h', kind: 'file', where: 'wherry.yaml:5' },
      { name: 'http.trustedProxies', value: ['10.0.0.0/8', '::1'], kind: 'file', where: 'wherry.yaml:7' },
    ],
    problems: [],
  });
});

test('manifests.sparse takes one word for both, or a word for each', () => {
  expect(read('manifests: { sparse: allow }').found.map(({ name }) => name)).toEqual(['manifests.sparse']);
  expect(read('manifests: { sparse: { images: allow } }').found.map(({ name }) => name)).toEqual([
    'manifests.sparse.images',
  ]);
});

test.each(['', '# nothing\n', 'windows:\n', 'windows:\n  # lease: 1h\n', '{}'])(
  'a file in which nothing is set is accepted: %j',
  (text) => {
    expect(read(text)).toEqual({ found: [], problems: [] });
  },
);

test('anchors and aliases stand for what they point to', () => {
  const { found, problems } = read('windows:\n  lease: &short 1m\n  trash: *short\n');
  expect(problems).toEqual([]);
  expect(found.map(({ name, value }) => [name, value])).toEqual([
    ['windows.lease', '1m'],
    ['windows.trash', '1m'],
  ]);
});

test('policies are handed on as they stand, with the place of each part', () => {
  const text =
    'data: /srv\npolicies:\n  - repositories: team/**\n    rules: &rules\n      - { action: keep, tags: [v*, w*] }\n' +
    '  - default:\n    rules: *rules\n';
  const { found, problems, policies } = read(text);
  const rules = [{ action: 'keep', tags: ['v*', 'w*'] }];
  expect([found.map(({ name }) => name), problems]).toEqual([['data'], []]);
  expect(policies?.value).toEqual([
    { repositories: 'team/**', rules },
    { default: null, rules },
  ]);
  expect(policies?.whereIs([])).toBe('wherry.yaml:3');
  expect(policies?.whereIs([0, 'rules', 0, 'tags', 1])).toBe('wherry.yaml:5');
  expect(policies?.whereIs([1, 'default'])).toBe('wherry.yaml:6');
  expect(policies?.whereIs([1, 'rules', 0, 'nowhere'])).toBe('wherry.yaml:5');
  expect(policies?.whereIs([7])).toBe('wherry.yaml:3');
});

test('no policies under the key are the same as no key', () => {
  expect(read('policies:\n')).toEqual({ found: [], problems: [] });
  expect(read('polices: []\n').problems).toEqual(['wherry.yaml:1: polices is not a setting (did you mean policies?)']);
});

test.each([
  ['windows:\n  leese: 6h\n', 'wherry.yaml:2: windows.leese is not a setting (did you mean windows.lease?)'],
  ['lease: 6h\n', 'wherry.yaml:1: lease is not a setting (did you mean windows.lease?)'],
  ['window:\n  lease: 6h\n', 'wherry.yaml:1: window is not a setting (did you mean windows?)'],
  ['a: 1\n', 'wherry.yaml:1: a is not a setting'],
  ['windows.lease: 6h\n', 'wherry.yaml:1: write windows.lease as a key under the key windows'],
  ['windows:\n  lease:\n', 'wherry.yaml:2: windows.lease has no value'],
  ['windows:\n  lease: { hours: 6 }\n', 'wherry.yaml:2: windows.lease is a single value, not a group of settings'],
  ['windows: 6h\n', 'wherry.yaml:1: windows is a group of settings, not a single value'],
  ['- data\n', 'wherry.yaml:1: the file is a group of settings, not a single value'],
  [
    'http:\n  trustedProxies: [{ a: b }]\n',
    'wherry.yaml:2: http.trustedProxies is a list of something else than texts',
  ],
  ['? [a]\n: b\n', 'wherry.yaml:1: a key is not a word'],
  ['data: *nowhere\n', 'wherry.yaml:1: data refers to an anchor that does not stand before it'],
])('the file %j is refused: %s', (text, problem) => {
  expect(read(text).problems).toEqual([problem]);
});

test.each(['windows: [', 'data: a\ndata: b\n', 'a: b\n---\nc: d\n', 'listen: [::1]:5000\n', '\t- x'])(
  'text that is not valid YAML is refused with its line: %j',
  (text) => {
    const { found, problems } = read(text);
    expect(found).toEqual([]);
    expect(problems[0]).toMatch(/^wherry\.yaml:\d: this is not valid YAML: /);
  },
);
