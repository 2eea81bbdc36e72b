import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parsePolicySet } from '../../src/retention/policy-set.ts';
import { ServedRegistry } from '../http/served-registry.ts';
import { pushImage } from './pushed-images.ts';

const main = join(import.meta.dir, '..', '..', 'src', 'main.ts');
const day = 86_400_000;

const policies = [
  {
    name: 'builds',
    repositories: 'team/**',
    default: 'prune',
    rules: [{ action: 'keep', tags: 'v*' }],
    rails: { grace: '0', tagsPerDay: '100%', bytesPerDay: '100%' },
  },
];

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'wherry-simulate-'));
});
afterEach(async () => await rm(directory, { recursive: true }));

describe.each(['a server that runs', 'no server'])('wherry retention simulate, with %s,', (kind) => {
  /** A registry with policies of its own, served or not, in which something was pulled a day after it was pushed. */
  async function prepared() {
    const registry = await ServedRegistry.start();
    const parsed = parsePolicySet(policies);
    registry.policies = parsed.ok ? parsed.set : undefined;
    await registry.stop();
    await registry.resume();
    // Where no server runs, the command judges by the system's clock.
    registry.clock.advance(Date.now() - 3 * day - registry.clock.now());
    await pushImage(registry, 'team/app', { tags: ['b1'] });
    await pushImage(registry, 'team/app', { tags: ['v1'] });
    registry.clock.advance(day);
    for (let pulls = 0; pulls < 3; pulls += 1) {
      expect((await registry.send('/v2/team/app/manifests/b1')).status).toBe(200);
    }
    registry.clock.advance(2 * day - 1000);
    if (kind === 'no server') await registry.stop();
    const config = join(directory, 'wherry.yaml');
    await writeFile(config, JSON.stringify({ policies }));
    const run = async (...args: readonly string[]) => {
      const environment = Object.entries(process.env).filter(([name]) => !name.startsWith('WHERRY_'));
      const data = ['--data', registry.dataDirectory, '--config', config];
      const child = Bun.spawn([process.execPath, main, 'retention', 'simulate', ...data, ...args], {
        cwd: directory,
        env: { ...Object.fromEntries(environment), ...registry.environment },
        stdin: 'ignore',
        stdout: 'pipe',
        stderr: 'pipe',
      });
      const [out, err, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
      return { out, err, code };
    };
    return { registry, run };
  }

  test('says what would have gone by when, and which pulls would have failed, and why', async () => {
    const { registry, run } = await prepared();
    await using _ = registry;
    const { out, err, code } = await run();
    expect({ err, code }).toEqual({ err: '', code: 0 });
    expect(out).toMatch(
      /^Replayed from \d.* to \d.* \(UTC\)\. Nothing from before that is remembered\.\n\nDAY \(UTC\) /,
    );
    expect(out).toMatch(/\n\d{4}-\d\d-\d\d +1 +200 B +200 B +400 B +200 B\n/);
    expect(out).toMatch(/\nteam\/app +builds +1 +0 +200 B +3\n/);
    expect(out).toMatch(/\nteam\/app +b1 +\d.* 3 +\d.*no rule keeps it, and the default of builds is prune\n/);
    expect(out).toEndWith(
      [
        '1 repositories with a policy: 1 tags would have gone and freed 200 B in 2 blobs; 200 B would be held now instead of 400 B.',
        '3 pulls of 1 tags and digests would have failed.',
        'Nothing has been removed.',
        '',
      ].join('\n'),
    );
  }, 60_000);

  test('prints JSON line by line, takes policies from another file, and refuses what makes no sense', async () => {
    const { registry, run } = await prepared();
    await using _ = registry;
    await writeFile(
      join(directory, 'other.yaml'),
      'policies:\n  - { repositories: "**", default: prune, rules: [{ action: keep, pulledWithin: 30d }] }\n',
    );
    const { out, code } = await run('--policy', 'other.yaml', '--since', '30d', '--repo', 'team/*', '--json');
    expect(code).toBe(0);
    const lines = out
      .trim()
      .split('\n')
      .map((line): unknown => JSON.parse(line));
    expect(lines.at(0)).toHaveProperty('simulation');
    expect(lines.at(-1)).toMatchObject({ total: { repositories: 1, prunedTags: 0, brokenPulls: 0 } });
    expect(await run('--since', 'ever')).toMatchObject({
      out: '',
      code: 1,
      err: 'wherry: since: it takes a length of time such as 30d\n',
    });
    expect(await run('--policy', 'missing.yaml')).toMatchObject({ out: '', code: 1 });
  }, 60_000);
});
