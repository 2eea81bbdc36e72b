import { describe, expect, test } from 'bun:test';
import { z } from 'zod';
import { ServedRegistry } from '../http/served-registry.ts';
import { isWhole, pushImage, remove } from './pushed-images.ts';
import { wherry } from './wherry.ts';

const repo = 'team/app';

describe.each(['a server that runs', 'no server'])("an operator's commands, with %s,", (kind) => {
  /** A registry with one image, served or not. */
  async function prepared() {
    const registry = await ServedRegistry.start();
    const image = await pushImage(registry, repo, { tags: ['x'] });
    const run = async (...args: readonly string[]) => await wherry(registry.dataDirectory, ...args);
    const asked = async () => {
      if (kind === 'no server') await registry.stop();
    };
    const served = async () => {
      if (kind === 'no server') await registry.resume();
    };
    return { registry, image, run, asked, served };
  }

  test('list the trash and restore from it', async () => {
    const { registry, image, run, asked, served } = await prepared();
    await using _ = registry;
    await remove(registry, repo, image.digest);
    await asked();
    const listed = await run('trash', 'list');
    expect(listed).toMatchObject({ err: '', code: 0 });
    expect(listed.out).toContain(`${repo}:x@${image.digest}`);
    expect(await run('trash', 'empty', '--dry-run')).toMatchObject({
      out: '1 manifests and 1 tags would go from the trash, which would free 200 B in 2 blobs.\n',
      code: 0,
    });
    const restored = await run('trash', 'restore', `${repo}@${image.digest}`, '--json');
    expect(restored).toMatchObject({ err: '', code: 0 });
    expect(JSON.parse(restored.out)).toEqual({
      digest: image.digest,
      tags: ['x'],
      movedOn: [],
      manifests: [image.digest],
    });
    const again = await run('trash', 'restore', `${repo}@${image.digest}`);
    expect(again).toMatchObject({ out: '', code: 1 });
    expect(again.err).toStartWith(`wherry: ${repo}@${image.digest} is not in the trash: `);
    await served();
    expect(await isWhole(registry, repo, 'x', image)).toBe(true);
  }, 30_000);

  test('pin and unpin, explain, add up and pause', async () => {
    const { registry, image, run, asked, served } = await prepared();
    await using _ = registry;
    await asked();
    expect(await run('pin', `${repo}:x`, '--reason', 'audit')).toMatchObject({ err: '', code: 0 });
    expect((await run('pins')).out).toContain('audit');
    const explained = await run('explain', `${repo}:x`);
    expect(explained.out).toContain(`${repo}@${image.digest} is visible`);
    expect(explained.out).toContain('tag x, pinned: audit');
    expect(explained.out).toContain('Deleting the tag would free 200 B in 2 blobs, and 1 manifests.');
    const used = z
      .object({ totalBytes: z.number(), onDiskBytes: z.number(), heldBytes: z.number() })
      .parse(JSON.parse((await run('du', '--json')).out));
    expect(used).toEqual({ totalBytes: 200, onDiskBytes: 200, heldBytes: 200 });
    expect((await run('du', repo)).out).toMatch(/team\/app:x +200 B +0 B +200 B/);
    expect((await run('collector', 'pause', '--reason', 'incident')).out).toContain('incident');
    await served();
    expect((await remove(registry, repo, 'x')).status).toBe(403);
    await asked();
    expect((await run('collector', 'resume')).out).not.toContain('incident');
    expect(await run('unpin', `${repo}:x`)).toMatchObject({ out: `${repo}:x is no longer pinned\n`, code: 0 });
    expect(await run('unpin', `${repo}:x`)).toMatchObject({ code: 1 });
    expect((await run('explain', 'nobody/here:x')).code).toBe(1);
    await served();
    expect((await remove(registry, repo, 'x')).status).toBe(202);
  }, 60_000);
});
