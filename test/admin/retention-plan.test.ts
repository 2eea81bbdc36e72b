import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { parsePolicySet } from '../../src/retention/policy-set.ts';
import { ServedRegistry } from '../http/served-registry.ts';
import { pushImage, type PushedImage } from './pushed-images.ts';

const main = join(import.meta.dir, '..', '..', 'src', 'main.ts');

const policies = [
  {
    name: 'builds',
    repositories: 'team/**',
    default: 'prune',
    rules: [{ action: 'keep', tags: 'v*' }],
    rails: { grace: '0', tagsPerDay: '40%', bytesPerDay: '100%' },
  },
];
const file = z.object({
  kind: z.literal('wherry retention plan'),
  version: z.literal(1),
  madeAt: z.iso.datetime(),
  policyHash: z.string(),
  items: z.array(z.object({ repository: z.string(), tag: z.string(), digest: z.string(), outcome: z.string() })),
  repositories: z.array(z.object({ repository: z.string(), policy: z.string(), freesBytes: z.number() })),
  total: z.object({ freesBytes: z.number() }),
});

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'wherry-plan-'));
});
afterEach(async () => await rm(directory, { recursive: true }));

describe.each(['a server that runs', 'no server'])('wherry retention plan, with %s,', (kind) => {
  /** A registry of two repositories, with policies of its own, served or not. */
  async function prepared() {
    const registry = await ServedRegistry.start();
    const parsed = parsePolicySet(policies);
    registry.policies = parsed.ok ? parsed.set : undefined;
    await registry.stop();
    await registry.resume();
    // Behind the system's clock, by which the command judges where no server runs.
    registry.clock.advance(Date.UTC(2020, 0, 1) - registry.clock.now());
    const images: PushedImage[] = [];
    for (const tag of ['b1', 'b2', 'b3', 'v1']) {
      images.push(await pushImage(registry, 'team/app', { tags: [tag] }));
      registry.clock.advance(1000);
    }
    await pushImage(registry, 'other', { tags: ['x'] });
    if (kind === 'no server') await registry.stop();
    const config = join(directory, 'wherry.yaml');
    await writeFile(config, JSON.stringify({ policies }));
    const run = async (...args: readonly string[]) => {
      const environment = Object.entries(process.env).filter(([name]) => !name.startsWith('WHERRY_'));
      const data = ['--data', registry.dataDirectory, '--config', config];
      const child = Bun.spawn([process.execPath, main, 'retention', 'plan', ...data, ...args], {
        cwd: directory,
        env: { ...Object.fromEntries(environment), ...registry.environment },
        stdin: 'ignore',
        stdout: 'pipe',
        stderr: 'pipe',
      });
      const [out, err, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
      return { out, err, code };
    };
    return { registry, images, run };
  }

  test('shows what goes, when, and what it frees, with sums', async () => {
    const { registry, images, run } = await prepared();
    await using _ = registry;
    const { out, err, code } = await run();
    expect({ err, code }).toEqual({ err: '', code: 0 });
    const digest = images[0]?.digest.slice(0, 19) ?? '';
    const [titles, first, second, third, sums, ...rest] = out.split('\n');
    expect(titles).toMatch(/^REPOSITORY +TAG +DIGEST +LAST USE \(UTC\) +AGE +FREES +WHEN +WHY$/);
    expect(first).toStartWith(`team/app    b1   ${digest}  2020-01-01 00:00:00  `);
    expect(first).toEndWith('  200 B  now    no rule keeps it, and the default of builds is prune');
    expect([second?.split(/ +/).at(1), second?.includes(' 200 B  later  ')]).toEqual(['b2', true]);
    expect([third?.split(/ +/).at(1), third?.includes(' 200 B  later  ')]).toEqual(['b3', true]);
    const text = '1 tags would go now and free 200 B in 2 blobs, 2 tags on another day; 1 tags stay.';
    expect(sums).toBe(`team/app (builds): ${text}`);
    expect(rest).toEqual(['', `All 1 repositories with a policy: ${text}`, 'Nothing has been removed.', '']);
    const all = await run('--all');
    expect(all.out).toMatch(/team\/app +v1 .* stays +rule 1 of builds: it names it without a condition\n/);
  }, 60_000);

  test('writes the plan into a file, whole, in place of an older one, and prints the same as JSON', async () => {
    const { registry, images, run } = await prepared();
    await using _ = registry;
    await writeFile(join(directory, 'plan.json'), 'an older one');
    const { out, err, code } = await run('--out', 'plan.json', '--json');
    expect({ err, code }).toEqual({ err: '', code: 0 });
    const text = await readFile(join(directory, 'plan.json'), 'utf8');
    expect(text).toBe(out);
    const written = file.parse(JSON.parse(text));
    expect(written.items.map(({ tag, digest, outcome }) => [tag, digest, outcome])).toEqual([
      ['b1', images[0]?.digest ?? '', 'goes'],
      ['b2', images[1]?.digest ?? '', 'waits'],
      ['b3', images[2]?.digest ?? '', 'waits'],
    ]);
    expect(written.repositories).toEqual([{ repository: 'team/app', policy: 'builds', freesBytes: 200 }]);
    const names = await readdir(directory);
    expect(names.toSorted()).toEqual(['plan.json', 'wherry.yaml']);
  }, 60_000);

  test('plans by the policies of another file, and for some repositories only', async () => {
    const { registry, run } = await prepared();
    await using _ = registry;
    await writeFile(
      join(directory, 'other.yaml'),
      'policies:\n  - { repositories: "**", default: prune, rails: { grace: 0, mayPruneLastTag: true } }\n',
    );
    const { out } = await run('--policy', 'other.yaml', '--repo', 'oth*');
    expect(out).toContain('other (policies[0]): 1 tags would go now and free 200 B in 2 blobs');
    expect(out).not.toContain('team/app');
  }, 60_000);

  test('leaves no file where there is no plan, and says why', async () => {
    const { registry, run } = await prepared();
    await using _ = registry;
    await writeFile(join(directory, 'bad.yaml'), 'policies:\n  - repositories: a\n    defolt: keep\n');
    const bad = await run('--policy', 'bad.yaml', '--out', 'plan.json');
    expect(bad).toMatchObject({ out: '', code: 1 });
    expect(bad.err).toContain('bad.yaml:3: policies[0].defolt is not a setting (did you mean default?)');
    const glob = await run('--repo', 'TEAM', '--out', 'plan.json');
    expect(glob).toMatchObject({ out: '', code: 1, err: 'wherry: repository: no repository has "T" in it\n' });
    expect(await run('--policy', 'missing.yaml')).toMatchObject({ out: '', code: 1 });
    expect((await run('--out', join('nowhere', 'plan.json'))).err).toStartWith(
      'wherry: cannot write nowhere/plan.json',
    );
    expect((await readdir(directory)).toSorted()).toEqual(['bad.yaml', 'wherry.yaml']);
  }, 60_000);
});
