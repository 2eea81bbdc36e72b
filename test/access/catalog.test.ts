import { expect, test } from 'bun:test';
import { pushImage } from '../admin/pushed-images.ts';
import { digestOf } from '../http/content.ts';
import type { Tables } from '../pairs/tables.ts';
import { GuardedRegistry } from './guarded-registry.ts';

const access = [
  { who: { users: ['owner'] }, repositories: '**', actions: 'all' },
  // Nothing tells from its beginning where such a repository stands.
  { who: { users: ['tenant'] }, repositories: '*/ours', actions: 'pull' },
  { who: { users: ['prefixed'] }, repositories: ['a/ours', 'z/**'], actions: 'pull' },
];

/** Makes repositories with an image each, without pushing them. */
function addRepositories(tables: Tables, names: readonly string[]): void {
  const listed = names.map((name) => `('${name}', 0)`);
  tables.change(`insert into repository (name, created_at) values ${listed.join(', ')}`);
  tables.change(
    `insert into manifest (repo, digest, media_type, kind, state, lease_until, pushed_at, size_bytes, bytes)
     select name, ?, 'application/x', 'image', 'live', 0, 0, 2, '{}' from repository where name like 'other/%'`,
    digestOf('{}'),
  );
}

test('of very many repositories those are listed that one may pull from, a bounded look at a time, and no other is named', async () => {
  await using guarded = await GuardedRegistry.start(['owner', 'tenant', 'prefixed'], { access });
  const { registry } = guarded;
  const ours = ['a/ours', 'm/ours', 'z/ours'];
  for (const repo of ours) await pushImage(guarded.pusher('owner'), repo, { tags: ['x'] });
  await registry.stop();
  addRepositories(
    registry.tables,
    Array.from({ length: 25_000 }, (_, index) => `other/r${String(index).padStart(5, '0')}`),
  );
  await registry.resume({ 'auth.htpasswd': guarded.passwordFile });

  const found: string[] = [];
  let pages = 0;
  for (let next: string | undefined = '/v2/_catalog?n=2'; next !== undefined; pages += 1) {
    const { answer, statements } = await guarded.cost('tenant', next);
    const text = await answer.text();
    const link: string | undefined = /^<([^>]+)>/.exec(answer.headers.get('link') ?? '')?.[1];
    expect(statements).toBeLessThanOrEqual(110);
    expect(`${text}${link}`).not.toContain('other');
    for (const [, name = ''] of text.matchAll(/"([a-z]+\/ours)"/g)) found.push(name);
    next = link;
  }
  expect(found).toEqual(ours);
  expect(pages).toBe(3);

  // Where the rules say what the names begin with, nothing else is looked at.
  const { answer, statements } = await guarded.cost('prefixed', '/v2/_catalog');
  expect(await answer.json()).toEqual({ repositories: ['a/ours', 'z/ours'] });
  expect(answer.headers.get('link')).toBeNull();
  expect(statements).toBe(2);

  const foreign = await guarded.send('tenant', '/v2/_catalog?last=~abc');
  expect(foreign.status).toBe(400);
});
