import { expect, test } from 'bun:test';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stormReport } from '../../src/storm/report.ts';
import { ServedRegistry } from '../http/served-registry.ts';

const main = join(import.meta.dir, '..', '..', 'src', 'main.ts');

async function storm(...args: readonly string[]) {
  const child = Bun.spawn([process.execPath, main, 'storm', ...args], {
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
  });
  const [out, err, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  return { out, err, code };
}

test('a storm of several processes tells and writes what all of them have found, and leaves no tag when it is told so', async () => {
  await using registry = await ServedRegistry.start();
  const directory = await mkdtemp(join(tmpdir(), 'wherry-storm-'));
  const json = join(directory, 'report.json');
  const flags = ['--duration', '1s', '--processes', '2', '--clients', '2', '--seed', '5', '--delete-tags'];
  const sizes = ['--repositories', '2', '--digests', '50'];
  const { out, err, code } = await storm(registry.origin, ...flags, ...sizes, '--json', json);
  const report = stormReport.parse(await Bun.file(json).json());
  await rm(directory, { recursive: true });
  expect([err, code]).toEqual(['', 0]);
  expect(out).toContain('0 acknowledged images lost, 0 wrong answers: passed\n');
  expect(out).toContain(', seed 5\n');
  const tags = registry.rows<{ name: string }>('select distinct name from tag_trash').map(({ name }) => name);
  expect(new Set(tags.map((name) => name.split('-')[0]))).toEqual(new Set(['c1', 'c2']));
  expect(registry.rows('select name from tag')).toEqual([]);
  expect(report.operations.map(({ kind }) => kind)).toContain('PUT manifest');
});

test('a storm with nobody there ends with 1 and says so', async () => {
  await using registry = await ServedRegistry.start();
  const { origin } = registry;
  await registry.stop();
  const { out, code } = await storm(origin, '--duration', '1s', '--fail-fast', '--clients', '1');
  expect(out).toContain('WRONG');
  expect(code).toBe(1);
});

test.each([
  [['somewhere'], 'a URL without a path, please, such as http://127.0.0.1:5000.'],
  [['http://127.0.0.1:5000', '--duration', '3'], 'add a unit, as in 3ms, 3s, 3m or 3h.'],
  [['http://127.0.0.1:5000', '--clients', '0'], 'at least 1, please.'],
])('the arguments %j are refused', async (args, problem) => {
  const { err, code } = await storm(...args);
  expect(err).toContain(problem);
  expect(code).toBe(2);
});
