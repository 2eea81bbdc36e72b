import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parsePolicySet } from '../../src/retention/policy-set.ts';
import { ociManifest } from '../http/content.ts';
import { ServedRegistry } from '../http/served-registry.ts';
import { pushImage, pushIndex, remove } from './pushed-images.ts';

const main = join(import.meta.dir, '..', '..', 'src', 'main.ts');
const second = 1000;
const day = 86_400_000;
const withinSeconds = 60_000;

const noRails = { grace: '0', tagsPerDay: '100%', bytesPerDay: '100%' };
const builds = {
  name: 'builds',
  repositories: 'team/**',
  default: 'prune',
  rules: [
    { name: 'releases', action: 'keep', tags: 'v*' },
    { name: 'loose', action: 'prune', tagState: 'untagged' },
  ],
  rails: { ...noRails, untaggedGrace: '0' },
};

let directory: string;
let registry: ServedRegistry;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'wherry-retention-'));
  registry = await ServedRegistry.start();
  // Behind the system's clock, by which a command judges where no server runs.
  registry.clock.advance(Date.UTC(2020, 0, 1) - registry.clock.now());
});
afterEach(async () => {
  await registry[Symbol.asyncDispose]();
  await rm(directory, { recursive: true });
});

/** Serves what is there with these policies, which are those of the commands too. */
async function serveWith(...policies: readonly object[]): Promise<void> {
  const parsed = parsePolicySet(policies);
  if (!parsed.ok) throw new Error(parsed.problems.join('\n'));
  await writeFile(join(directory, 'wherry.yaml'), JSON.stringify({ policies }));
  registry.policies = parsed.set;
  await serve();
}

async function serve(): Promise<void> {
  await registry.stop();
  await registry.resume({ 'retention.delay': '1h' });
}

async function retention(...args: readonly string[]) {
  const environment = Object.entries(process.env).filter(([name]) => !name.startsWith('WHERRY_'));
  const data = ['--data', registry.dataDirectory, '--config', join(directory, 'wherry.yaml')];
  const child = Bun.spawn([process.execPath, main, 'retention', ...args, ...data], {
    cwd: directory,
    env: { ...Object.fromEntries(environment), ...registry.environment },
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
  });
  const [out, err, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  return { out, err, code };
}

/** Pushes an image of 200 bytes for each tag, a second apart. */
async function push(repo: string, ...tags: readonly string[]) {
  const images = [];
  for (const tag of tags) {
    images.push(await pushImage(registry, repo, { tags: [tag] }));
    registry.clock.advance(second);
  }
  return images;
}

/** The cells of a table, without the columns that hold digests or times. */
function cellsOf(line: string, ...columns: readonly number[]): readonly string[] {
  const cells = line.split(/ {2,}/);
  return columns.map((column) => cells[column] ?? '');
}

describe.each(['a server that runs', 'no server'])('wherry retention apply, with %s,', (kind) => {
  const asked = async () => {
    if (kind === 'no server') await registry.stop();
  };
  const served = async () => {
    if (kind === 'no server') await serve();
  };

  beforeEach(() => {
    // Lately: what waits for its first tag is not past its time by the system's clock either.
    registry.clock.advance(Date.now() - day - registry.clock.now());
  });

  /** A plan of all that the policies let go now, in plan.json. */
  async function planned(...flags: readonly string[]): Promise<void> {
    await asked();
    expect(await retention('plan', '--out', 'plan.json', ...flags)).toMatchObject({ err: '', code: 0 });
    await served();
  }

  test(
    'removes what the plan lets go, shows what has been used since, and does nothing twice',
    async () => {
      await serveWith(builds);
      const tags = ['goes', 'pulled', 'moved', 'pinned', 'deleted', 'again', 'v1'];
      const images = await push('team/app', ...tags);
      const loose = await pushImage(registry, 'team/app');
      const tagged = await pushImage(registry, 'team/app');
      const listed = await pushImage(registry, 'team/app');
      await push('other', 'x');
      registry.clock.advance(second);
      await planned();

      const manifest = (tag: string) => images[tags.indexOf(tag)]?.manifest ?? '';
      const put = async (tag: string, text: string) =>
        expect((await registry.putManifest('team/app', tag, text, ociManifest)).status).toBe(201);
      expect((await registry.send('/v2/team/app/manifests/pulled')).status).toBe(200);
      await put('moved', manifest('v1'));
      expect((await registry.admin('POST', '/pins', { target: 'team/app:pinned', reason: 'audit' })).ok).toBe(true);
      expect((await remove(registry, 'team/app', 'deleted')).status).toBe(202);
      await put('again', manifest('again'));
      await put('v2', tagged.manifest);
      await pushIndex(registry, 'team/app', ['v3'], listed);
      await push('team/app', 'new');

      await asked();
      const applied = await retention('apply', 'plan.json');
      expect(applied).toMatchObject({ err: '', code: 0 });
      const [titles, ...lines] = applied.out.trimEnd().split('\n');
      expect(titles).toMatch(/^REPOSITORY +TAG +DIGEST +FREES +WHAT BECAME OF IT$/);
      const digest = images[0]?.digest.slice(0, 19) ?? '';
      expect(lines.find((line) => line.includes(' goes '))).toMatch(
        new RegExp(`^team/app +goes +${digest} +200 B +is in the trash$`),
      );
      const became = new Map(
        lines.slice(0, -1).map((line) => {
          const [, , name = '', digestText = ''] = /^(\S+) +(\S+) +(\S+)/.exec(line) ?? [];
          return [name === '(untagged)' ? digestText : name, line.replace(/^.*?(is|stays)/, '$1')];
        }),
      );
      expect(Object.fromEntries(became)).toEqual({
        goes: 'is in the trash',
        [loose.digest.slice(0, 19)]: 'is in the trash',
        [tagged.digest.slice(0, 19)]: 'stays: it was pushed or tagged since',
        [listed.digest.slice(0, 19)]: 'stays: a tag, an index or a subject holds it by now',
        pulled: 'stays: it was pulled since',
        moved: 'stays: it was pushed or tagged since',
        pinned: 'stays: it is pinned',
        deleted: 'is not there any more',
        again: 'stays: it was pushed or tagged since',
      });
      expect(lines.at(-1)).toBe(
        '2 went into the trash, which gives 400 B back when their time there is over; 7 were left as they are.',
      );

      const twice = await retention('apply', 'plan.json', '--json');
      expect(twice).toMatchObject({ err: '', code: 0 });
      const items: unknown = JSON.parse(twice.out);
      expect(items).toMatchObject({ items: Array.from({ length: 9 }, () => ({ freesBytes: 0 })) });
      expect(twice.out).not.toContain('"outcome":"pruned"');
      expect(twice.out).toContain(`"tag":"goes","digest":"${images[0]?.digest}","outcome":"gone"`);
      await served();
      const left = registry.rows<{ name: string }>("select name from tag where repo = 'team/app' order by name");
      expect(left.map(({ name }) => name)).toEqual(['again', 'moved', 'new', 'pinned', 'pulled', 'v1', 'v2', 'v3']);
      const events = registry.rows<{ tag: string; reason: string; actor: string }>(
        "select tag, reason, actor from event where kind = 'tag.pruned'",
      );
      const reason = 'by a plan: no rule keeps it, and the default of builds is prune';
      expect(events).toMatchObject([{ tag: 'goes', reason }]);
      expect(events[0]?.actor).toContain('wherry/');
    },
    withinSeconds,
  );

  test(
    'leaves the last tag, and what the plan lets go on another day only',
    async () => {
      await serveWith({ ...builds, rails: { ...builds.rails, tagsPerDay: '40%' } });
      await push('team/app', 'b1', 'b2', 'v1');
      await planned();
      const text = await readFile(join(directory, 'plan.json'), 'utf8');
      expect(text).toMatch(/"tag":"b1".*"outcome":"goes"/);
      expect(text).toMatch(/"tag":"b2".*"outcome":"waits"/);
      for (const tag of ['b2', 'v1']) expect((await remove(registry, 'team/app', tag)).status).toBe(202);
      await asked();
      const applied = await retention('apply', 'plan.json');
      expect(applied).toMatchObject({ err: '', code: 0 });
      const [, row, ...rest] = applied.out.split('\n');
      expect(row).toMatch(/^team\/app +b1 .* stays: it would be the last tag of the repository$/);
      expect(rest).toEqual([
        '0 went into the trash, which gives 0 B back when their time there is over; 1 were left as they are.',
        '',
      ]);
      expect(await retention('plan', '--out', 'plan.json')).toMatchObject({ code: 0 });
      expect(await retention('apply', 'plan.json')).toEqual({ out: 'Nothing goes by this plan.\n', err: '', code: 0 });
    },
    withinSeconds,
  );

  test(
    'refuses what is no plan, says why, and removes nothing',
    async () => {
      await serveWith(builds);
      await push('team/app', 'b1', 'v1');
      await planned();
      const text = await readFile(join(directory, 'plan.json'), 'utf8');
      const tried = async (given: string) => {
        await writeFile(join(directory, 'given.json'), given);
        const { out, err, code } = await retention('apply', 'given.json');
        expect({ out, code }).toEqual({ out: '', code: 1 });
        return err;
      };
      await asked();
      const cannot = 'wherry: cannot read a plan from ';
      expect(await tried(text.slice(0, -40))).toBe(`${cannot}given.json: it is not JSON, or was cut short\n`);
      expect(await tried('')).toBe(`${cannot}given.json: it is not JSON, or was cut short\n`);
      expect(await tried('{"items":[]}')).toBe(
        'wherry: given.json is no plan: make one with "wherry retention plan --out FILE"\n',
      );
      expect(await tried(text.replace('"version": 1', '"version": 2'))).toBe(
        'wherry: given.json was written by another version of wherry, as version 2 of plans, where this one reads 1: make the plan anew\n',
      );
      expect(await tried(text.replace(/"digest":"[^"]+",/, ''))).toStartWith(
        'wherry: given.json is not as wherry has written it: items.0.digest: ',
      );
      expect(await tried(text.replace('"tag":"b1"', '"tag":"b 1"'))).toBe('wherry: "b 1" is no tag\n');
      const nowhere = await retention('apply', 'nowhere.json');
      expect(nowhere).toMatchObject({ out: '', code: 1 });
      expect(nowhere.err).toStartWith(`${cannot}nowhere.json: ENOENT: no such file`);
      expect((await retention('apply', '.')).err).toMatch(/^wherry: cannot read a plan from \.: .*director/);
      expect(await retention('apply')).toMatchObject({ out: '', code: 2 });
      await served();
      expect(registry.rows('select name from tag')).toHaveLength(2);
    },
    withinSeconds,
  );
});

describe('wherry retention upcoming', () => {
  test.each(['a server that runs', 'no server'])(
    'shows what goes when, and why not before, with %s',
    async (kind) => {
      // What stays for a time, by a clock that a command without a server has too.
      registry.clock.advance(Date.now() - 26 * day - registry.clock.now());
      const used = { ...builds, rules: [{ name: 'in use', action: 'keep', pulledWithin: '30d' }] };
      await serveWith({ ...used, rails: { ...used.rails, tagsPerDay: '0%' } });
      const [image] = await push('team/app', 'old');
      registry.clock.advance(2 * day);
      await push('team/app', 'newer');
      await push('team/new', 'x', 'y');
      registry.clock.advance(24 * day - 3 * second);
      await serve();
      if (kind === 'no server') await registry.stop();

      const soon = await retention('upcoming', '--repo', 'team/app', '--within', '5d');
      expect(soon).toMatchObject({ err: '', code: 0 });
      const [titles = '', row = '', ...rest] = soon.out.split('\n');
      expect(titles).toMatch(/^REPOSITORY +TAG +DIGEST +GOES \(UTC\) +WHY IT STAYS UNTIL THEN$/);
      expect(cellsOf(row, 0, 1, 2)).toEqual(['team/app', 'old', image?.digest.slice(0, 19) ?? '']);
      expect(row).toMatch(
        / \d{4}-\d\d-\d\d \d\d:\d\d:\d\d {2}rule 1 \(in use\) of builds: never pulled, pushed or tagged 26d ago, within 30d$/,
      );
      expect(rest).toEqual(['']);
      const json = await retention('upcoming', '--within', '10d', '--json');
      const names = Array.from(json.out.matchAll(/"tag":"(\w+)"/g), ([, name]) => name);
      expect(names).toEqual(['old', 'newer', 'x', 'y']);
      expect(await retention('upcoming', '--within', '1h')).toEqual({
        out: 'Nothing goes within 1h.\n',
        err: '',
        code: 0,
      });
      for (const flags of [
        ['--within', 'soon'],
        ['--within', '-3d'],
      ]) {
        const bad = await retention('upcoming', ...flags);
        expect(bad).toMatchObject({ out: '', code: 1 });
        expect(bad.err).toMatch(/^wherry: within: "(soon|-3d)": .*: write 12h or 7d\n$/);
      }
      expect((await retention('upcoming', '--repo', 'TEAM')).err).toStartWith('wherry: repository: ');
    },
    withinSeconds,
  );

  test('says so where there are no policies', async () => {
    await writeFile(join(directory, 'wherry.yaml'), '{}');
    expect(await retention('upcoming')).toEqual({
      out: '',
      err: 'wherry: the configuration has no policies, so nothing goes by itself\n',
      code: 1,
    });
  });
});

describe('wherry retention status, approve and resume', () => {
  const careful = { ...builds, name: 'careful', rails: { ...builds.rails, tagsPerDay: '50%' } };
  const calm = { ...builds, name: 'calm', repositories: 'other/**' };
  const stern = { ...careful, name: 'stern', repositories: 'stern/**' };

  /** Two policies that wait, and one that prunes. */
  async function waiting(): Promise<void> {
    await serveWith();
    await push('team/app', 'b1', 'b2', 'b3', 'v1');
    await push('stern/app', 'b1', 'b2', 'b3', 'v1');
    await pushImage(registry, 'team/app');
    registry.clock.advance(second);
    await serveWith(careful, stern, calm);
    await registry.pruned();
  }

  test(
    'show what waits, with figures and what to do, and let one or all of it prune',
    async () => {
      await waiting();
      const status = await retention('status');
      expect(status).toMatchObject({ err: '', code: 0 });
      expect(status.out.split('\n')).toEqual([
        'POLICY   STATE               WOULD PRUNE                          AT ONCE',
        'careful  waits for approval  3 tags, 1 untagged manifests, 800 B  2 tags, 400 B',
        'stern    waits for approval  3 tags, 600 B                        2 tags, 400 B',
        'calm     prunes',
        '',
        'Look at "wherry retention plan", then say "wherry retention approve".',
        '',
      ]);
      expect(JSON.parse((await retention('status', '--json')).out)).toEqual({
        policies: [
          {
            name: 'careful',
            state: 'waiting',
            wouldPrune: { tags: 3, manifests: 1, bytes: 800 },
            railsLet: { tags: 2, manifests: 0, bytes: 400 },
          },
          {
            name: 'stern',
            state: 'waiting',
            wouldPrune: { tags: 3, manifests: 0, bytes: 600 },
            railsLet: { tags: 2, manifests: 0, bytes: 400 },
          },
          { name: 'calm', state: 'approved' },
        ],
      });
      await registry.pruned();
      expect(registry.rows('select 1 from tag')).toHaveLength(8);

      expect(await retention('approve', '--policy', 'carefull')).toEqual({
        out: '',
        err: 'wherry: no policy is named carefull, only careful, stern, calm\n',
        code: 1,
      });
      expect((await retention('approve', '--policy', 'calm')).out).toBe('calm does not wait for approval.\n');
      expect(await retention('approve', '--policy', 'careful')).toEqual({
        out: 'Approved: careful. What goes, goes within the rails of each day.\n',
        err: '',
        code: 0,
      });
      await registry.pruned();
      expect(registry.rows("select 1 from tag where repo = 'team/app'")).toHaveLength(2);
      expect(registry.rows("select 1 from tag where repo = 'stern/app'")).toHaveLength(4);
      expect((await retention('status')).out).toMatch(/^careful {2}prunes\nstern {4}waits for approval/m);
      expect(JSON.parse((await retention('approve', '--json')).out)).toEqual({ approved: ['stern'] });
      await registry.pruned();
      expect(registry.rows("select 1 from tag where repo = 'stern/app'")).toHaveLength(2);
      expect((await retention('approve')).out).toBe('No policy waits for approval.\n');
      expect((await retention('status')).out).not.toContain('Look at');
      const approvals = registry.rows<{ actor: string }>(
        "select actor from event where kind = 'retention.approved' order by id",
      );
      expect(approvals.map(({ actor }) => actor === 'retention')).toEqual([true, false, false]);
    },
    withinSeconds,
  );

  test(
    'say until when nothing is pruned because the clock was set, and go on when they are told that it is right',
    async () => {
      await serveWith({ ...builds, rules: [{ action: 'keep', pulledWithin: '30d' }] });
      await push('team/app', 'b1', 'b2');
      await registry.pruned();
      registry.clock.set(365 * day);
      await registry.pruned();
      const status = await retention('status');
      expect(status.code).toBe(0);
      expect(status.out).toMatch(
        /^Nothing is pruned until 2021-01-01 00:00:02 \(UTC\): the clock was set from .* to .*\.\nIf the clock is right, say "wherry retention resume"\.\n\nPOLICY +STATE/,
      );
      expect((await retention('resume')).out).toStartWith('POLICY  STATE');
      registry.clock.advance(2 * 3_600_000);
      await registry.pruned();
      expect(registry.rows('select name from tag')).toEqual([{ name: 'b2' }]);
      // Where nothing is paused, there is nothing to be done.
      expect(await retention('resume')).toMatchObject({ err: '', code: 0 });
    },
    withinSeconds,
  );

  test(
    'say that pruning is held where the collector is paused',
    async () => {
      await serveWith(builds);
      expect((await registry.admin('POST', '/collector/pause', { reason: 'incident' })).ok).toBe(true);
      expect((await retention('status')).out).toMatch(
        /^The collector is paused since 2020-01-01 00:00:00 by .*: incident\nNothing is pruned either, until somebody says "wherry collector resume"\.\n\nPOLICY/,
      );
      expect((await registry.admin('POST', '/collector/resume')).ok).toBe(true);
      expect((await retention('status')).out).toStartWith('POLICY');
    },
    withinSeconds,
  );

  test(
    'say why where nothing carries out policies',
    async () => {
      await writeFile(join(directory, 'wherry.yaml'), JSON.stringify({ policies: [builds] }));
      for (const command of ['status', 'approve', 'resume']) {
        expect(await retention(command)).toEqual({
          out: '',
          err: 'wherry: the server was started without policies: write them into its configuration file, and start it again\n',
          code: 1,
        });
      }
      await registry.stop();
      for (const command of ['status', 'approve', 'resume']) {
        expect(await retention(command)).toEqual({
          out: '',
          err: 'wherry: no server runs on this data directory, and only a server carries out policies; "wherry retention plan" shows what they would remove\n',
          code: 1,
        });
      }
    },
    withinSeconds,
  );
});
