import { describe, expect, test } from 'bun:test';
import { z } from 'zod';
import { digestOf, freshBytes, imageOf } from '../http/content.ts';
import { ServedRegistry } from '../http/served-registry.ts';

const repo = 'team/app';
const refusal = z.object({
  errors: z.tuple([z.object({ code: z.string(), message: z.string(), detail: z.record(z.string(), z.unknown()) })]),
});

async function limited(...quotas: readonly object[]): Promise<ServedRegistry> {
  const registry = await ServedRegistry.start();
  await registry.limit(quotas);
  return registry;
}

async function refused(answer: Response) {
  expect(answer.status).toBe(403);
  expect(answer.headers.get('warning')).toBeNull();
  const [{ code, message, detail }] = refusal.parse(await answer.json()).errors;
  expect(code).toBe('DENIED');
  return { message, detail };
}

/** Opens a session and sends bytes; what comes of the closing PUT is for the caller. */
async function uploaded(registry: ServedRegistry, name: string, bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const opened = await registry.send(`/v2/${name}/blobs/uploads/`, { method: 'POST' });
  expect(opened.status).toBe(202);
  const sent = await registry.send(opened.headers.get('location') ?? '', { method: 'PATCH', body: bytes });
  expect(sent.status).toBe(202);
  return `${sent.headers.get('location')}?digest=${digestOf(bytes)}`;
}

const start = (registry: ServedRegistry, name: string) =>
  registry.send(`/v2/${name}/blobs/uploads/`, { method: 'POST' });
const push = (registry: ServedRegistry, name: string, bytes: Uint8Array<ArrayBuffer>) =>
  registry.send(`/v2/${name}/blobs/uploads/?digest=${digestOf(bytes)}`, { method: 'POST', body: bytes });

function eventsOf(registry: ServedRegistry) {
  return registry.rows<{ kind: string; repo: string; reason: string }>(
    `select kind, repo, reason from event where kind like 'quota.%' order by id`,
  );
}

describe('beyond the hard limit of bytes', () => {
  const team = { name: 'team', repositories: 'team/**', bytes: { hard: '1kB' } };

  test('a POST that brings a blob is refused with figures before its body is read', async () => {
    await using registry = await limited(team);
    await registry.pushBlob(repo, freshBytes(900));
    const { message, detail } = await refused(await push(registry, 'team/other', freshBytes(101)));
    expect(detail).toEqual({ quota: 'team', kind: 'bytes', used: 900, limit: 1000, wanted: 101 });
    expect(message).toStartWith(
      'the quota team allows 1kB of blobs, and has 900 bytes; this would be 101 more: delete images',
    );
    expect(message).toContain('wherry trash empty');
    // Had its body been read, there would have been a session, and a file that is now dead.
    expect(registry.rows('select oid from object')).toHaveLength(1);
    await registry.pushBlob('team/other', freshBytes(100));
  });

  test('an upload of unknown size may begin while there is room, and is refused when there is none', async () => {
    await using registry = await limited(team);
    await registry.pushBlob(repo, freshBytes(999));
    expect((await start(registry, repo)).status).toBe(202);
    await registry.pushBlob(repo, freshBytes(1));
    const { detail } = await refused(await start(registry, 'team/other'));
    expect(detail).toEqual({ quota: 'team', kind: 'bytes', used: 1000, limit: 1000 });
    expect((await start(registry, 'elsewhere')).status).toBe(202);
  });

  test('the closing PUT is refused, and the bytes are given back', async () => {
    await using registry = await limited(team);
    const bytes = freshBytes(1001);
    const close = await uploaded(registry, repo, bytes);
    const { detail } = await refused(await registry.send(close, { method: 'PUT' }));
    expect(detail).toEqual({ quota: 'team', kind: 'bytes', used: 0, limit: 1000, wanted: 1001 });
    expect((await registry.send(close, { method: 'PUT' })).status).toBe(404);
    expect((await registry.send(`/v2/${repo}/blobs/${digestOf(bytes)}`)).status).toBe(404);
    await registry.stop();
    expect(await registry.objectFiles()).toEqual([]);
  });

  test('of two uploads that fit by themselves and not together, the second to be closed is refused', async () => {
    await using registry = await limited(team);
    const closes = await Promise.all([
      uploaded(registry, repo, freshBytes(600)),
      uploaded(registry, 'team/other', freshBytes(600)),
    ]);
    const answers = await Promise.all(closes.map((close) => registry.send(close, { method: 'PUT' })));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([201, 403]));
  });

  test('a mount is refused, but for what the quota has already', async () => {
    await using registry = await limited(team);
    const [foreign, own] = [freshBytes(600), freshBytes(600)];
    const mount = (digest: string, from: string) =>
      registry.send(`/v2/team/third/blobs/uploads/?mount=${digest}&from=${from}`, { method: 'POST' });
    await registry.pushBlob('elsewhere', foreign);
    await registry.pushBlob(repo, own);
    const { detail } = await refused(await mount(digestOf(foreign), 'elsewhere'));
    expect(detail).toEqual({ quota: 'team', kind: 'bytes', used: 600, limit: 1000, wanted: 600 });
    const asked = await registry.send(`/v2/team/third/blobs/${digestOf(foreign)}`, { method: 'HEAD' });
    expect(asked.status).toBe(404);
    expect((await mount(digestOf(own), repo)).status).toBe(201);
  });

  test('what the quota has already can be pushed, in any way and to any of its repositories', async () => {
    await using registry = await limited(team);
    const bytes = freshBytes(1000);
    const close = await uploaded(registry, 'team/third', bytes);
    await registry.pushBlob(repo, bytes);
    expect((await push(registry, repo, bytes)).status).toBe(201);
    expect((await push(registry, 'team/other', bytes)).status).toBe(201);
    expect((await registry.send(close, { method: 'PUT' })).status).toBe(201);
    expect(registry.rows('select bytes from quota_usage')).toEqual([{ bytes: 1000 }]);
  });

  test('pulls, HEADs, deletes and the tagging of what is there go on', async () => {
    await using registry = await limited({ ...team, bytes: { hard: '100B' } });
    const bytes = freshBytes(100);
    const blob = await registry.pushBlob(repo, bytes);
    expect((await registry.putManifest(repo, 'x', imageOf(bytes))).status).toBe(201);
    expect((await registry.putManifest(repo, 'y', imageOf(bytes))).status).toBe(201);
    expect((await registry.send(`/v2/${repo}/blobs/${blob}`, { method: 'HEAD' })).status).toBe(200);
    expect((await registry.send(`/v2/${repo}/manifests/x`)).status).toBe(200);
    expect((await registry.send(`/v2/${repo}/manifests/x`, { method: 'DELETE' })).status).toBe(202);
  });

  test('what was deleted counts until it is collected', async () => {
    await using registry = await limited(team);
    const config = freshBytes(1000);
    await registry.pushBlob(repo, config);
    const manifest = JSON.stringify(imageOf(config));
    await registry.putManifest(repo, 'x', manifest);
    await registry.send(`/v2/${repo}/manifests/${digestOf(manifest)}`, { method: 'DELETE' });
    await refused(await push(registry, repo, freshBytes(1)));
    registry.clock.advance(30 * 86_400_000);
    await registry.collected();
    expect((await push(registry, repo, freshBytes(1))).status).toBe(201);
  });

  test('a refusal is an event, the first of them until something has gone', async () => {
    await using registry = await limited(team);
    const blob = await registry.pushBlob(repo, freshBytes(1000));
    await refused(await start(registry, repo));
    await refused(await push(registry, 'team/other', freshBytes(1)));
    const event = {
      kind: 'quota.hard',
      repo,
      reason: 'the quota team has 1000 bytes, and its hard limit is 1000',
    };
    expect(eventsOf(registry)).toEqual([event]);
    await registry.send(`/v2/${repo}/blobs/${blob}`, { method: 'DELETE' });
    await registry.collected();
    await registry.pushBlob(repo, freshBytes(1000));
    const close = await refused(await start(registry, repo));
    expect(close.detail['used']).toBe(1000);
    await refused(await start(registry, repo));
    expect(eventsOf(registry)).toEqual([event, event]);
  });

  test('the event of one that would have fitted in part says how much it had', async () => {
    await using registry = await limited(team);
    await registry.pushBlob(repo, freshBytes(600));
    await refused(await push(registry, repo, freshBytes(401)));
    const reason = 'the quota team has 600 bytes, and its hard limit is 1000: there is no room for 401 more';
    expect(eventsOf(registry)).toEqual([{ kind: 'quota.hard', repo, reason }]);
  });
});

describe('beyond the hard limit of tags', () => {
  const team = { name: 'team', repositories: ['team/*'], tags: { hard: '2' } };

  test('a push of a manifest is refused and changes nothing; a tag that is there can be moved', async () => {
    await using registry = await limited(team);
    const [one, other] = [freshBytes(10), freshBytes(10)];
    for (const bytes of [one, other]) await registry.pushBlob(repo, bytes);
    await registry.pushBlob('team/other', one);
    expect((await registry.putManifest(repo, 'a', imageOf(one))).status).toBe(201);
    const manifest = JSON.stringify(imageOf(other));
    const { message, detail } = await refused(
      await registry.putManifest(repo, `${digestOf(manifest)}?tag=a&tag=b&tag=c`, manifest),
    );
    expect(detail).toEqual({ quota: 'team', kind: 'tags', used: 1, limit: 2, wanted: 2 });
    expect(message).toContain('moving a tag is possible');
    expect((await registry.send(`/v2/${repo}/manifests/${digestOf(manifest)}`)).status).toBe(404);
    expect((await registry.putManifest('team/other', 'b', imageOf(one))).status).toBe(201);
    expect((await registry.putManifest(repo, 'a', manifest)).status).toBe(201);
    expect((await registry.putManifest(repo, digestOf(manifest), manifest)).status).toBe(201);
    await refused(await registry.putManifest(repo, 'd', manifest));
    expect(eventsOf(registry).map(({ kind }) => kind)).toEqual(['quota.hard']);
    await registry.send(`/v2/${repo}/manifests/a`, { method: 'DELETE' });
    expect((await registry.putManifest(repo, 'd', manifest)).status).toBe(201);
  });

  test('a deleted tag can be restored all the same', async () => {
    await using registry = await limited({ ...team, tags: { hard: '1' } });
    const config = freshBytes(10);
    await registry.pushBlob(repo, config);
    await registry.putManifest(repo, 'a', imageOf(config));
    await registry.send(`/v2/${repo}/manifests/a`, { method: 'DELETE' });
    await registry.putManifest(repo, 'b', imageOf(config));
    expect((await registry.admin('POST', '/trash/restore', { target: `${repo}:a` })).status).toBe(200);
    expect(registry.rows('select tags from quota_usage')).toEqual([{ tags: 2 }]);
    await refused(await registry.putManifest(repo, 'c', imageOf(config)));
  });
});

test('a quota for each of its repositories limits one whatever the others have', async () => {
  await using registry = await limited({ repositories: '**', each: true, bytes: { hard: '1kB' }, tags: { hard: 1 } });
  const bytes = freshBytes(1000);
  for (const name of ['a', 'b', 'c/d']) await registry.pushBlob(name, bytes);
  await refused(await push(registry, 'b', freshBytes(1)));
  await registry.putManifest('a', 'x', imageOf(bytes));
  expect((await registry.putManifest('b', 'x', imageOf(bytes))).status).toBe(201);
  const { detail } = await refused(await registry.putManifest('b', 'y', imageOf(bytes)));
  expect(detail).toEqual({ quota: 'quotas[0]', kind: 'tags', used: 1, limit: 1, wanted: 1 });
});

test('a refusal leaves nothing of a repository that is not there', async () => {
  await using registry = await limited({ repositories: '**', each: true, bytes: { hard: '10B' }, tags: { hard: 0 } });
  for (const name of ['a', 'b', 'c']) await refused(await push(registry, name, freshBytes(11)));
  expect(registry.rows('select * from quota_usage')).toEqual([]);
  expect(eventsOf(registry)).toEqual([]);
  await registry.pushBlob('a', freshBytes(10));
  await refused(await push(registry, 'a', freshBytes(1)));
  expect(eventsOf(registry).map((event) => event.repo)).toEqual(['a']);
});

describe('above a soft limit', () => {
  const team = {
    name: 'the "team"\\ö',
    repositories: 'team/**',
    bytes: { soft: '1kB', hard: '2kB' },
    tags: { soft: '1' },
  };
  const ofBytes =
    '299 - "the quota the ?team??? has more than 1kB of blobs, and pushes are refused beyond 2kB of blobs: delete what is not needed"';
  const ofTags = '299 - "the quota the ?team??? has more than 1 tags: delete what is not needed"';

  test('whoever pushes is warned with the same words each time, and no other', async () => {
    await using registry = await limited(team);
    const config = freshBytes(1000);
    const warning = (answer: Response) => answer.headers.get('warning');
    expect(warning(await push(registry, repo, config))).toBeNull();
    expect(warning(await start(registry, repo))).toBeNull();
    expect(warning(await push(registry, repo, freshBytes(1)))).toBe(ofBytes);
    expect(warning(await push(registry, repo, freshBytes(1)))).toBe(ofBytes);
    expect(warning(await start(registry, repo))).toBe(ofBytes);
    const close = await uploaded(registry, 'team/other', config);
    expect(warning(await registry.send(close, { method: 'PUT' }))).toBe(ofBytes);
    const mount = `/v2/team/third/blobs/uploads/?mount=${digestOf(config)}&from=${repo}`;
    expect(warning(await registry.send(mount, { method: 'POST' }))).toBe(ofBytes);
    expect(warning(await registry.putManifest(repo, 'x', imageOf(config)))).toBe(ofBytes);
    expect(warning(await registry.putManifest(repo, 'y', imageOf(config)))).toBe(`${ofBytes}, ${ofTags}`);
    expect(warning(await registry.putManifest(repo, 'y', imageOf(config)))).toBe(`${ofBytes}, ${ofTags}`);
    for (const method of ['GET', 'HEAD', 'DELETE']) {
      expect(warning(await registry.send(`/v2/${repo}/manifests/y`, { method }))).toBeNull();
    }
    expect(warning(await push(registry, 'elsewhere', config))).toBeNull();
  });

  test('crossing it is an event, each time that it is crossed', async () => {
    await using registry = await limited(team);
    await registry.pushBlob(repo, freshBytes(1000));
    expect(eventsOf(registry)).toEqual([]);
    const blob = await registry.pushBlob(repo, freshBytes(500));
    await registry.pushBlob(repo, freshBytes(100));
    const reason = 'the quota the "team"\\ö has 1500 bytes, and its soft limit is 1000';
    expect(eventsOf(registry)).toEqual([{ kind: 'quota.soft', repo, reason }]);
    for (const digest of [
      blob,
      ...registry.rows<{ digest: string }>('select digest from link').map((row) => row.digest),
    ])
      await registry.send(`/v2/${repo}/blobs/${digest}`, { method: 'DELETE' });
    await registry.collected();
    await registry.pushBlob('team/other', freshBytes(1001));
    expect(eventsOf(registry).map((event) => event.repo)).toEqual([repo, 'team/other']);
  });
});

test('nothing is refused or warned of while a quota is being counted, and all is once it is', async () => {
  await using registry = await ServedRegistry.start();
  await registry.pushBlob(repo, freshBytes(1000));
  await registry.limit([{ repositories: 'team/*', bytes: { soft: '1B', hard: '10B' } }]);
  await refused(await push(registry, repo, freshBytes(1)));
  await registry.stop();
  await registry.limit([{ name: 'renamed', repositories: 'team/*', bytes: { soft: '10B', hard: '20B' } }]);
  const { detail } = await refused(await start(registry, repo));
  expect(detail).toEqual({ quota: 'renamed', kind: 'bytes', used: 1000, limit: 20 });
});
