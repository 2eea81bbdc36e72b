import { describe, expect, test } from 'bun:test';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { freshBytes, imageOf } from '../http/content.ts';
import { ServedRegistry } from '../http/served-registry.ts';
import { wherry } from './wherry.ts';

const quotas = [
  { name: 'team', repositories: 'team/**', bytes: { soft: '150B', hard: '10GB' }, tags: { hard: 1 } },
  { name: 'each', repositories: ['a', 'b', 'c'], each: true, tags: { hard: 1000 } },
];

/** A registry that has 200 bytes and a tag in one quota, and 100 in two repositories of another that is for each. */
async function prepared(): Promise<ServedRegistry> {
  const registry = await ServedRegistry.start();
  await registry.limit(quotas);
  const bytes = freshBytes(100);
  for (const repo of ['team/app', 'team/other', 'a', 'b', 'free']) await registry.pushBlob(repo, bytes);
  await registry.pushBlob('team/app', freshBytes(100));
  await registry.putManifest('team/app', 'x', imageOf(bytes));
  return registry;
}

const page = z.object({
  quotas: z.array(z.object({ quota: z.string(), repository: z.string().optional(), state: z.string() }).loose()),
  next: z.string().optional(),
});

describe.each(['a server that runs', 'no server'])('wherry quota, with %s,', (kind) => {
  test('shows what is used and allowed', async () => {
    await using registry = await prepared();
    if (kind === 'no server') await registry.stop();
    const { out, err, code } = await wherry(registry.dataDirectory, 'quota');
    expect({ err, code }).toEqual({ err: '', code: 0 });
    expect(out.split('\n').map((line) => line.split(/ {2,}/).map((cell) => cell.trim()))).toEqual([
      ['QUOTA', 'REPOSITORIES', 'BYTES', 'SOFT', 'HARD', 'TAGS', 'SOFT', 'HARD', 'STATE'],
      ['team', 'team/**', '200 B', '150B', '10GB', '1', '-', '1', 'full'],
      ['each', 'a', '100 B', '-', '-', '0', '-', '1000', 'ok'],
      ['each', 'b', '100 B', '-', '-', '0', '-', '1000', 'ok'],
      [''],
    ]);
    const json = await wherry(registry.dataDirectory, 'quota', '--json');
    expect(page.parse(JSON.parse(json.out)).quotas[0]).toEqual({
      quota: 'team',
      repositories: ['team/**'],
      state: 'counted',
      bytes: { used: 200, soft: 150, hard: 10_000_000_000 },
      tags: { used: 1, hard: 1 },
    });
  });
});

test('what a command changes without a server counts, whatever configuration it is given', async () => {
  await using registry = await prepared();
  await registry.send('/v2/team/app/manifests/x', { method: 'DELETE' });
  expect(registry.rows(`select tags from quota_usage where repo = ''`)).toEqual([{ tags: 0 }]);
  await registry.stop();
  const restored = await wherry(registry.dataDirectory, 'trash', 'restore', 'team/app:x');
  expect(restored).toMatchObject({ err: '', code: 0 });
  expect(registry.rows(`select tags from quota_usage where repo = ''`)).toEqual([{ tags: 1 }]);
});

test('quotas are listed in pages, each repository and quota once', async () => {
  await using registry = await prepared();
  await registry.pushBlob('c', freshBytes());
  const seen: string[] = [];
  for (let after = ''; ;) {
    const path = `/quotas?n=1${after === '' ? '' : `&after=${encodeURIComponent(after)}`}`;
    const { quotas: some, next } = page.parse(await (await registry.admin('GET', path)).json());
    seen.push(...some.map(({ quota, repository = '' }) => `${quota} ${repository}`));
    if (next === undefined) break;
    after = next;
  }
  expect(seen).toEqual(['team ', 'each a', 'each b', 'each c']);
  expect((await registry.admin('GET', '/quotas?after=nonsense')).status).toBe(400);
  expect((await registry.admin('GET', '/quotas?after=99%20z')).status).toBe(200);
});

test('metrics show the quotas that are for all of their repositories, and no others', async () => {
  await using registry = await prepared();
  const text = await (await registry.send('/metrics')).text();
  expect(text.split('\n').filter((line) => line.startsWith('wherry_quota'))).toEqual([
    'wherry_quota_used{quota="team",kind="bytes"} 200',
    'wherry_quota_used{quota="team",kind="tags"} 1',
    'wherry_quota_limit{quota="team",kind="bytes",limit="soft"} 150',
    'wherry_quota_limit{quota="team",kind="bytes",limit="hard"} 10000000000',
    'wherry_quota_limit{quota="team",kind="tags",limit="hard"} 1',
    'wherry_quota_counted{quota="team"} 1',
  ]);
});

test('a registry without quotas shows none, and has none after they were taken away', async () => {
  await using registry = await prepared();
  await registry.limit(undefined);
  expect(await (await registry.admin('GET', '/quotas')).json()).toEqual({ quotas: [] });
  expect(await (await registry.send('/metrics')).text()).not.toContain('wherry_quota');
  for (const table of ['quota', 'quota_usage', 'quota_blob'])
    expect(registry.rows(`select * from ${table}`)).toEqual([]);
});

test('wherry does not start with quotas that make no sense', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'wherry-quotas-'));
  try {
    const config = join(directory, 'wherry.yaml');
    await writeFile(
      config,
      'quotas:\n  - repositories: a\n    byte: { hard: 1GB }\npolicies:\n  - { repositories: b }\n',
    );
    const { out, err, code } = await wherry(join(directory, 'data'), 'serve', '--config', config);
    expect({ out, code }).toEqual({ out: '', code: 2 });
    expect(err).toStartWith('wherry cannot start with this configuration:\n');
    expect(err).toContain(`${config}:3: quotas[0].byte is not a setting (did you mean bytes?)`);
    expect(err).toContain('policies[0].default');
  } finally {
    await rm(directory, { recursive: true });
  }
});
