import { expect, test } from 'bun:test';
import { digestOf, freshBytes, imageOf, ociIndex, ociManifest } from './content.ts';
import { expectRefusal } from './refusal.ts';
import { ServedRegistry } from './served-registry.ts';

const repo = 'pulls/image';
const hour = 3_600_000;

/** Pushes an image of its own under a tag. @returns the manifest's text */
async function pushImage(registry: ServedRegistry, tag: string): Promise<string> {
  const config = freshBytes();
  await registry.pushBlob(repo, config);
  const text = JSON.stringify(imageOf(config));
  expect((await registry.putManifest(repo, tag, text)).status).toBe(201);
  return text;
}

test('answers GET and HEAD alike but for the body, by tag and by digest', async () => {
  await using registry = await ServedRegistry.start();
  const text = await pushImage(registry, 'x');
  for (const reference of ['x', digestOf(text)]) {
    for (const method of ['GET', 'HEAD']) {
      const answer = await registry.send(`/v2/${repo}/manifests/${reference}`, { method });
      expect(answer.status).toBe(200);
      expect(Object.fromEntries(answer.headers)).toMatchObject({
        'content-type': ociManifest,
        'content-length': String(Buffer.byteLength(text)),
        'docker-content-digest': digestOf(text),
        'docker-distribution-api-version': 'registry/2.0',
        etag: `"${digestOf(text)}"`,
      });
      expect(await answer.text()).toBe(method === 'GET' ? text : '');
    }
  }
});

test('spares the body to a client that has it already', async () => {
  await using registry = await ServedRegistry.start();
  const digest = digestOf(await pushImage(registry, 'x'));
  const status = async (method: string, ifNoneMatch: string) => {
    const answer = await registry.send(`/v2/${repo}/manifests/x`, {
      method,
      headers: { 'if-none-match': ifNoneMatch },
    });
    if (answer.status === 304) expect(answer.headers.get('docker-content-digest')).toBe(digest);
    return answer.status;
  };
  for (const method of ['GET', 'HEAD']) {
    for (const same of [`"${digest}"`, `W/"${digest}"`, '*', `"other", "${digest}"`]) {
      expect(await status(method, same)).toBe(304);
    }
    expect(await status(method, `"${digestOf('other')}"`)).toBe(200);
  }
});

test('gives a manifest whatever types the client says it accepts', async () => {
  await using registry = await ServedRegistry.start();
  const text = await pushImage(registry, 'x');
  const answer = await registry.send(`/v2/${repo}/manifests/x`, { headers: { accept: ociIndex } });
  expect(answer.headers.get('content-type')).toBe(ociManifest);
  expect(await answer.text()).toBe(text);
});

test('says what it does not have', async () => {
  await using registry = await ServedRegistry.start();
  await pushImage(registry, 'x');
  const unknown = digestOf('unknown');
  const byTag = await expectRefusal(await registry.send(`/v2/${repo}/manifests/y`), 404, 'MANIFEST_UNKNOWN');
  expect(byTag.detail).toEqual({ repository: repo, tag: 'y' });
  const byDigest = await expectRefusal(
    await registry.send(`/v2/${repo}/manifests/${unknown}`),
    404,
    'MANIFEST_UNKNOWN',
  );
  expect(byDigest.detail).toEqual({ repository: repo, digest: unknown });
  await expectRefusal(await registry.send('/v2/nobody/manifests/x'), 404, 'MANIFEST_UNKNOWN');
  expect((await registry.send(`/v2/${repo}/manifests/y`, { method: 'HEAD' })).status).toBe(404);
});

test('moves a tag to a new manifest and keeps the one before under its digest', async () => {
  await using registry = await ServedRegistry.start();
  const before = await pushImage(registry, 'latest');
  const after = await pushImage(registry, 'latest');
  expect(await (await registry.send(`/v2/${repo}/manifests/latest`)).text()).toBe(after);
  expect(await (await registry.send(`/v2/${repo}/manifests/${digestOf(before)}`)).text()).toBe(before);
  expect(registry.rows('select name, manifest from tag_trash')).toEqual([
    { name: 'latest', manifest: digestOf(before) },
  ]);
});

test('remembers when a manifest and a tag were last pulled, and counts no HEAD', async () => {
  await using registry = await ServedRegistry.start();
  const digest = digestOf(await pushImage(registry, 'x'));
  await registry.send(`/v2/${repo}/manifests/x`);
  registry.clock.advance(hour);
  const byTag = registry.clock.now();
  await registry.send(`/v2/${repo}/manifests/x`);
  registry.clock.advance(hour);
  const byDigest = registry.clock.now();
  await registry.send(`/v2/${repo}/manifests/${digest}`);
  registry.clock.advance(hour);
  await registry.send(`/v2/${repo}/manifests/x`, { method: 'HEAD' });

  await registry.stop();
  expect(registry.rows('select last_pulled_at from manifest')).toEqual([{ last_pulled_at: byDigest }]);
  expect(registry.rows('select last_pulled_at from tag')).toEqual([{ last_pulled_at: byTag }]);
});

test('forgets when a tag was pulled once it points elsewhere', async () => {
  await using registry = await ServedRegistry.start();
  await pushImage(registry, 'x');
  await registry.send(`/v2/${repo}/manifests/x`);
  await registry.stop();
  await registry.resume();
  await pushImage(registry, 'x');
  expect(registry.rows('select last_pulled_at from tag')).toEqual([{ last_pulled_at: null }]);
});

test('promises a client that asks before a push that the manifest stays for the lease, and its tag counts as pushed (R22)', async () => {
  await using registry = await ServedRegistry.start({ 'windows.lease': '2h' });
  const digest = digestOf(await pushImage(registry, 'x'));
  const rows = () =>
    registry.rows('select lease_until, touched_at from manifest join tag on tag.manifest = manifest.digest');
  const pushedAt = registry.clock.now();
  const asPushed = [{ lease_until: pushedAt + 2 * hour, touched_at: pushedAt }];
  expect(rows()).toEqual(asPushed);

  const head = async (reference: string) => {
    expect((await registry.send(`/v2/${repo}/manifests/${reference}`, { method: 'HEAD' })).status).toBe(200);
  };
  // With more than half of the lease left, a HEAD writes nothing.
  registry.clock.advance(hour);
  await head('x');
  expect(rows()).toEqual(asPushed);

  registry.clock.advance(1);
  await registry.send(`/v2/${repo}/manifests/x`);
  expect(rows()).toEqual(asPushed);
  await head(digest);
  expect(rows()).toEqual([{ lease_until: registry.clock.now() + 2 * hour, touched_at: pushedAt }]);
  await head('x');
  expect(rows()).toEqual([{ lease_until: registry.clock.now() + 2 * hour, touched_at: registry.clock.now() }]);
});

test('refuses references that are neither tag nor digest', async () => {
  await using registry = await ServedRegistry.start();
  for (const method of ['GET', 'HEAD', 'DELETE']) {
    for (const [reference, code] of [
      ['-x', 'MANIFEST_INVALID'],
      ['sha256:abc', 'DIGEST_INVALID'],
      [`md5:${'0'.repeat(32)}`, 'DIGEST_INVALID'],
    ] as const) {
      const answer = await registry.send(`/v2/${repo}/manifests/${reference}`, { method });
      if (method === 'HEAD') expect(answer.status).toBe(400);
      else expect((await expectRefusal(answer, 400, code)).detail).toEqual({ reference });
    }
  }
});

test('remembers the pulls of each tag of a manifest by itself', async () => {
  await using registry = await ServedRegistry.start();
  const text = await pushImage(registry, 'x');
  expect((await registry.putManifest(repo, 'y', text)).status).toBe(201);
  const pulledAt: Record<string, number> = {};
  for (const tag of ['x', 'y']) {
    registry.clock.advance(hour);
    pulledAt[tag] = registry.clock.now();
    await registry.send(`/v2/${repo}/manifests/${tag}`);
  }
  await registry.stop();
  expect(registry.rows('select name, last_pulled_at from tag order by name')).toEqual([
    { name: 'x', last_pulled_at: pulledAt['x'] },
    { name: 'y', last_pulled_at: pulledAt['y'] },
  ]);
  expect(registry.rows('select last_pulled_at from manifest')).toEqual([{ last_pulled_at: pulledAt['y'] }]);
});

test('does not find in one repository what was pushed to another', async () => {
  await using registry = await ServedRegistry.start();
  const text = await pushImage(registry, 'x');
  await registry.pushBlob('pulls/other', freshBytes());
  for (const reference of ['x', digestOf(text)]) {
    expect((await registry.send(`/v2/pulls/other/manifests/${reference}`)).status).toBe(404);
  }
});
