import { expect, test } from 'bun:test';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { loadConfig } from './load.ts';
import { configurationReference } from './reference.ts';
import { sections, settable, settableIn } from './settings.ts';

test('docs/configuration.md is what npm run docs writes', async () => {
  const page = path.join(import.meta.dir, '..', '..', 'docs', 'configuration.md');
  expect(await readFile(page, 'utf8')).toBe(configurationReference());
});

test('every setting is in one section', () => {
  expect(sections.flatMap((section) => settableIn(section))).toEqual([...settable]);
});

test('the example of the reference page is a configuration file that sets everything to its default', async () => {
  const example = /```yaml\n(?<yaml>.*?)```/s.exec(configurationReference())?.groups?.['yaml'] ?? '';
  const none = { env: {}, flags: new Map<string, string>() };
  const defaults = await loadConfig({ ...none, readFile: () => '' });
  const loaded = await loadConfig({ ...none, configFile: 'example.yaml', readFile: () => example });
  expect(loaded.ok && defaults.ok && loaded.config).toEqual(defaults.ok && defaults.config);
  expect(loaded.ok && new Set(loaded.sources.values())).toEqual(new Set(['file']));
});
