import { expect, test } from 'bun:test';
import { digestOf, freshBytes, imageOf } from './content.ts';
import { ServedRegistry, type Settings } from './served-registry.ts';

const repo = 'team/app';
const day = 86_400_000;
const atOnce: Settings = {
  'windows.lease': '0',
  'windows.trash': '0',
  'windows.condemned': '0',
  'windows.neverTagged': '0',
};

async function pushImage(registry: ServedRegistry, ...tags: readonly string[]) {
  const config = freshBytes(123);
  const blob = await registry.pushBlob(repo, config);
  const manifest = JSON.stringify(imageOf(config));
  const digest = digestOf(manifest);
  const parameters = tags.map((tag) => `tag=${tag}`).join('&');
  expect((await registry.putManifest(repo, `${digest}?${parameters}`, manifest)).status).toBe(201);
  return { digest, blob, manifestBytes: manifest.length };
}

async function remove(registry: ServedRegistry, path: string): Promise<void> {
  const init = { method: 'DELETE', headers: { 'user-agent': 'tidy/1.0' } };
  expect((await registry.send(`/v2/${repo}/${path}`, init)).status).toBe(202);
}

/** What happened beside pushes, without the times. */
function events(registry: ServedRegistry) {
  const rows = registry.rows<{ kind: string; tag: string | null; digest: string | null; actor: string }>(
    `select kind, tag, digest, actor from event where kind not like '%.pushed' order by id`,
  );
  for (const row of rows) row.actor = row.actor.replace(/ \(request [0-9a-f-]{36}\)$/, '');
  return rows;
}

const client = 'client 127.0.0.1 tidy/1.0';

test('a push is remembered: each blob, the manifest, and each tag that is new', async () => {
  await using registry = await ServedRegistry.start();
  const image = await pushImage(registry, 'x', 'y');
  const again = await pushImage(registry, 'y');
  const rows = registry.rows(
    `select kind, tag, digest, reason, bytes from event where kind like '%.pushed' order by id`,
  );
  expect(rows).toEqual([
    { kind: 'blob.pushed', tag: null, digest: image.blob, reason: null, bytes: 123 },
    {
      kind: 'manifest.pushed',
      tag: null,
      digest: image.digest,
      reason: 'with the tags x, y',
      bytes: image.manifestBytes,
    },
    { kind: 'tag.pushed', tag: 'x', digest: image.digest, reason: null, bytes: null },
    { kind: 'tag.pushed', tag: 'y', digest: image.digest, reason: null, bytes: null },
    { kind: 'blob.pushed', tag: null, digest: again.blob, reason: null, bytes: 123 },
    { kind: 'manifest.pushed', tag: null, digest: again.digest, reason: 'with the tags y', bytes: again.manifestBytes },
  ]);
});

test('a blob that is mounted is remembered, with where it comes from', async () => {
  await using registry = await ServedRegistry.start();
  const blob = await registry.pushBlob('team/base', freshBytes(50));
  const mounted = await registry.send(`/v2/${repo}/blobs/uploads/?mount=${blob}&from=team/base`, { method: 'POST' });
  expect(mounted.status).toBe(201);
  expect(registry.rows(`select repo, digest, reason, bytes from event where kind = 'blob.mounted'`)).toEqual([
    { repo, digest: blob, reason: 'from team/base', bytes: 50 },
  ]);
});

test('an event has who, from where and with what in columns of their own', async () => {
  await using registry = await ServedRegistry.start();
  const image = await pushImage(registry, 'x');
  const answer = await registry.send(`/v2/${repo}/manifests/${image.digest}`, {
    method: 'DELETE',
    headers: { 'user-agent': 'tidy/1.0' },
  });
  expect(
    registry.rows(
      `select identity, address, user_agent, request_id, result from event where kind = 'manifest.deleted'`,
    ),
  ).toEqual([
    {
      identity: 'anonymous',
      address: '127.0.0.1',
      user_agent: 'tidy/1.0',
      request_id: answer.headers.get('x-request-id'),
      result: 'done',
    },
  ]);
});

test('what a client deletes is remembered, with the tags that go along, when, and by whom', async () => {
  await using registry = await ServedRegistry.start();
  const [image, other] = [await pushImage(registry, 'x', 'y'), await pushImage(registry, 'z')];
  const blob = await registry.pushBlob(repo, freshBytes());
  await remove(registry, 'manifests/z');
  await remove(registry, `manifests/${image.digest}`);
  await remove(registry, `blobs/${blob}`);
  expect(events(registry)).toEqual([
    { kind: 'tag.deleted', tag: 'z', digest: other.digest, actor: client },
    { kind: 'manifest.deleted', tag: null, digest: image.digest, actor: client },
    { kind: 'tag.deleted', tag: 'x', digest: image.digest, actor: client },
    { kind: 'tag.deleted', tag: 'y', digest: image.digest, actor: client },
    { kind: 'link.deleted', tag: null, digest: blob, actor: client },
  ]);
  expect(registry.rows('select distinct at, repo from event')).toEqual([{ at: registry.clock.now(), repo }]);
  expect(
    registry.rows("select reason from event where kind like '%.deleted' and reason is not null order by id"),
  ).toEqual([{ reason: 'with the tags x, y' }, { reason: 'with its manifest' }, { reason: 'with its manifest' }]);
});

test('a delete that is refused leaves no event', async () => {
  await using registry = await ServedRegistry.start();
  const image = await pushImage(registry, 'x');
  const refused = [`manifests/nothing`, `blobs/${image.blob}`];
  for (const path of refused) {
    const answer = await registry.send(`/v2/${repo}/${path}`, { method: 'DELETE' });
    expect(answer.ok).toBe(false);
  }
  const unmet = await registry.send(`/v2/${repo}/manifests/x`, {
    method: 'DELETE',
    headers: { 'if-match': `"${image.blob}"` },
  });
  expect(unmet.status).toBe(412);
  expect(events(registry)).toEqual([]);
});

test('a tag that is pushed again remembers what it led to', async () => {
  await using registry = await ServedRegistry.start();
  const [before, after] = [await pushImage(registry, 'x'), await pushImage(registry, 'x')];
  expect(registry.rows("select kind, tag, digest, reason from event where kind = 'tag.moved'")).toEqual([
    { kind: 'tag.moved', tag: 'x', digest: before.digest, reason: `it was pushed again, as ${after.digest}` },
  ]);
});

test('what the collector takes away is remembered, with why and how many bytes', async () => {
  await using registry = await ServedRegistry.start(atOnce);
  const image = await pushImage(registry, 'x');
  await remove(registry, `manifests/${image.digest}`);
  await registry.collected();
  expect(
    registry.rows("select kind, repo, digest, reason, bytes from event where actor = 'collector' order by id"),
  ).toEqual([
    {
      kind: 'manifest.collected',
      repo,
      digest: image.digest,
      reason: 'it was deleted, and its time in the trash is over',
      bytes: image.manifestBytes,
    },
    {
      kind: 'link.collected',
      repo,
      digest: image.blob,
      reason: 'no manifest needs it, and its lease is over',
      bytes: null,
    },
    { kind: 'blob.collected', repo: null, digest: image.blob, reason: 'no repository links it', bytes: 123 },
  ]);
});

test('a tag about a manifest is remembered when it goes with it', async () => {
  await using registry = await ServedRegistry.start(atOnce);
  const subject = await pushImage(registry, 'x');
  const tag = `${subject.digest.replace(':', '-')}.sig`;
  const config = freshBytes();
  await registry.pushBlob(repo, config);
  const signature = JSON.stringify(imageOf(config));
  expect((await registry.putManifest(repo, tag, signature)).status).toBe(201);
  await remove(registry, 'manifests/x');
  await registry.collected();
  const reason = `it is about ${subject.digest}, which is gone`;
  expect(
    registry.rows("select tag, digest, actor, reason from event where kind = 'tag.collected' order by id"),
  ).toEqual([{ tag, digest: digestOf(signature), actor: 'collector', reason }]);
});

test('what an operator restores and resumes is remembered, each manifest and each tag of it', async () => {
  await using registry = await ServedRegistry.start();
  const image = await pushImage(registry, 'x', 'y');
  await remove(registry, `manifests/${image.digest}`);
  const before = events(registry).length;
  expect((await registry.admin('POST', '/trash/restore', { target: `${repo}@${image.digest}` })).status).toBe(200);
  for (const path of ['pause', 'resume', 'resume']) {
    const body = path === 'pause' ? { reason: 'incident' } : {};
    expect((await registry.admin('POST', `/collector/${path}`, body)).status).toBe(200);
  }
  const after = events(registry).slice(before);
  expect(after.map(({ kind, tag, digest }) => ({ kind, tag, digest }))).toEqual([
    { kind: 'manifest.restored', tag: null, digest: image.digest },
    { kind: 'tag.restored', tag: 'x', digest: image.digest },
    { kind: 'tag.restored', tag: 'y', digest: image.digest },
    { kind: 'collector.paused', tag: null, digest: null },
    { kind: 'collector.resumed', tag: null, digest: null },
  ]);
  for (const { actor } of after) expect(actor).toStartWith('admin 127.0.0.1 ');
});

test('an upload that nobody goes on with is remembered when it ends', async () => {
  await using registry = await ServedRegistry.start({ 'windows.upload': '1d' });
  const session = await registry.send(`/v2/${repo}/blobs/uploads/`, { method: 'POST' });
  await registry.send(session.headers.get('location') ?? '', { method: 'PATCH', body: freshBytes(70) });
  registry.clock.advance(day);
  await registry.collected();
  expect(registry.rows('select kind, repo, bytes, actor from event')).toEqual([
    { kind: 'upload.expired', repo, bytes: 70, actor: 'collector' },
  ]);
});

test('what happened is forgotten after a time, and nothing before it', async () => {
  await using registry = await ServedRegistry.start({ ...atOnce, 'events.keep': '90d' });
  await pushImage(registry, 'x');
  await remove(registry, 'manifests/x');
  await registry.collected();
  const before = events(registry).length;
  registry.clock.advance(90 * day);
  await pushImage(registry, 'y');
  await remove(registry, 'manifests/y');
  await registry.collected();
  expect(events(registry)).toHaveLength(2 * before);
  registry.clock.advance(day);
  await registry.collected();
  expect(events(registry)).toHaveLength(before);
});

test('however much has happened, all that is too old is forgotten', async () => {
  await using registry = await ServedRegistry.start({ 'events.keep': '90d' });
  registry.tables.change(
    `insert into event (at, kind, actor)
     with recursive number (n) as (select 1 union all select n + 1 from number where n < 1200)
     select ?, 'tag.deleted', 'somebody' from number`,
    registry.clock.now() - 91 * day,
  );
  await pushImage(registry, 'x');
  expect(events(registry)).toHaveLength(1200);
  registry.clock.advance(600_000);
  await registry.collected();
  expect(events(registry)).toEqual([]);
});
