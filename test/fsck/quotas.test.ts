import { describe, expect, test } from 'bun:test';
import { globExpression } from '../../src/fsck/quotas-in-force.ts';
import { Glob } from '../../src/retention/glob.ts';
import { SeededRandom } from '../../src/storm/seeded-random.ts';
import { freshBytes, imageOf } from '../http/content.ts';
import { ServedRegistry } from '../http/served-registry.ts';
import { damage, findings, found, liftRules } from './damaged-registry.ts';
import { askedBy, scansOf } from './scans.ts';

/** A registry with a blob of 100 bytes in two repositories of a quota and one of another, which is for each of its own. */
async function withQuotas(use: (registry: ServedRegistry, blob: string, sql: Sql) => Promise<void>): Promise<void> {
  await using registry = await ServedRegistry.start();
  const bytes = freshBytes(100);
  await registry.pushBlob('team/app', bytes);
  await registry.limit([
    { name: 'team', repositories: 'team/**', bytes: { hard: '1kB' } },
    { name: 'each', repositories: '**', each: true, tags: { hard: '9' } },
  ]);
  const blob = await registry.pushBlob('team/other', bytes);
  await registry.pushBlob('alone', bytes);
  for (const repo of ['team/other', 'alone']) await registry.putManifest(repo, 'x', imageOf(bytes));
  await use(registry, blob, async (statement) => {
    // Nothing that goes on in the background shall have the database meanwhile.
    await registry.stop();
    await liftRules(registry);
    damage(registry, statement);
  });
}

/** Changes the database against all rules; no server runs from then on. */
type Sql = (statement: string) => Promise<void>;

test('what is counted as it should be is no finding', async () => {
  await withQuotas(async (registry) => {
    expect(await found(registry)).toEqual([]);
  });
});

describe('F15 is found, where', () => {
  test.each([
    ['bytes are wrong', 'update quota_usage set bytes = 99 where repo = ""', ['quota team']],
    ['tags are wrong', 'update quota_usage set tags = 2 where repo = ""', ['quota team']],
    ['tags of a repository are wrong', 'update quota_usage set tags = 2 where repo = "alone"', ['quota each, alone']],
    ['a usage is gone', 'delete from quota_usage where repo = "alone"', ['quota each, alone', 'quota each, alone']],
    ['links are wrong', 'update quota_blob set links = 1 where repo = ""', ['quota team, BLOB']],
    ['a size is wrong', 'update quota_blob set size_bytes = 1 where repo = ""', ['quota team', 'quota team, BLOB']],
    [
      'a blob is not counted',
      'delete from quota_blob where repo = ""',
      ['quota team', 'quota team, team/app@BLOB', 'quota team, team/other@BLOB'],
    ],
    ['the globs are others', `update quota set settings = replace(settings, 'team/**', 'team/app')`, undefined],
  ])('%s', async (_, statement, about) => {
    await withQuotas(async (registry, blob, sql) => {
      await sql(statement.replaceAll('"', `'`));
      const is = await found(registry);
      if (about === undefined) expect(is).not.toEqual([]);
      else expect(is).toEqual(about.map((one) => `leak F15 ${one.replace('BLOB', blob)}`).toSorted());
    });
  });

  test('nothing is compared while it is being counted', async () => {
    await withQuotas(async (registry, _, sql) => {
      await sql(`update quota_usage set bytes = 99`);
      await sql(`update quota set phase = 'tags'`);
      expect(await found(registry)).toEqual([]);
    });
  });
});

describe('a repair has a quota counted anew:', () => {
  test('by the server that runs', async () => {
    await withQuotas(async (registry, _, sql) => {
      await sql('update quota_usage set bytes = 9999');
      await registry.resume();
      expect(await (await registry.admin('POST', '/fsck', { repair: true })).text()).toContain('"isRepaired":true');
      await registry.counted();
      expect(await found(registry)).toEqual([]);
      expect(registry.rows('select count(*) as count from quota')).toEqual([{ count: 2 }]);
    });
  });

  test('by the next start, where none runs', async () => {
    await withQuotas(async (registry, _, sql) => {
      await sql('update quota_usage set bytes = 9999');
      const repaired = await findings(registry, { repair: true });
      expect(repaired.map(({ code, isRepaired }) => [code, isRepaired])).toEqual([
        ['F15', true],
        ['F15', true],
      ]);
      await registry.resume();
      await registry.counted();
      expect(await found(registry)).toEqual([]);
      expect(registry.rows(`select bytes, tags from quota_usage where repo = ''`)).toEqual([{ bytes: 100, tags: 1 }]);
    });
  });
});

test('no look at what is counted reads a whole table', async () => {
  await withQuotas(async (registry) => {
    const asked = [...(await askedBy(registry))].filter((sql) => sql.includes('quota'));
    expect(asked.length).toBeGreaterThan(4);
    // There are as few quotas as are configured.
    expect((await scansOf(registry, asked)).filter(({ table }) => table !== 'quota')).toEqual([]);
  });
});

test('it reads globs as the registry does', () => {
  const random = new SeededRandom(7);
  const pieces = ['a', 'b', '.', '/', '*', '**', '?', '/**', '**/', '+'];
  const text = (parts: readonly string[], most: number): string =>
    Array.from({ length: random.between(1, most) }, () => random.pick(parts) ?? '').join('');
  let matches = 0;
  for (let round = 0; round < 20_000; round++) {
    const glob = text(pieces, 6);
    const parsed = Glob.parse(glob);
    if (!parsed.ok) continue;
    const name = text(['a', 'b', '.', '/', '+'], 6);
    const isMatch = parsed.glob.matches(name);
    if (isMatch) matches++;
    expect([glob, name, globExpression(glob).test(name)]).toEqual([glob, name, isMatch]);
  }
  expect(matches).toBeGreaterThan(500);
});
