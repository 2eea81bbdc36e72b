import { describe, expect, setDefaultTimeout, test } from 'bun:test';
import { z } from 'zod';
import { pushImage } from '../admin/pushed-images.ts';
import { digestOf, freshBytes } from '../http/content.ts';
import { ServedRegistry } from '../http/served-registry.ts';
import { wherry } from '../admin/wherry.ts';

setDefaultTimeout(60_000);

const repo = 'team/app';

describe.each(['a server that runs', 'no server'])('wherry purge, with %s,', (kind) => {
  async function prepared() {
    const registry = await ServedRegistry.start();
    const bytes = freshBytes(3000);
    const image = await pushImage(registry, repo, { tags: ['leaking'], layers: [bytes] });
    if (kind === 'no server') await registry.stop();
    const run = async (...args: readonly string[]) => await wherry(registry.dataDirectory, 'purge', ...args);
    return { registry, image, secret: digestOf(bytes), run };
  }

  test('lists what it would hit and does no more, or acts, shows its record, and lifts it', async () => {
    const { registry, image, secret, run } = await prepared();
    await using _ = registry;
    const dry = await run(secret, '--dry-run');
    expect(dry).toMatchObject({ err: '', code: 0 });
    expect(dry.out).toContain(`${repo}:leaking leads to ${image.digest}`);
    expect(dry.out).not.toContain('Purge 1');
    expect(await run('list')).toMatchObject({ out: 'Nothing was ever purged.\n', code: 0 });

    expect(await run(secret, '--why', 'x'.repeat(501))).toMatchObject({
      code: 2,
      out: 'nothing was purged: the reason is too long: 500 characters at most\n',
    });
    const purged = await run(secret, '--why', 'a key', '--yes');
    expect(purged).toMatchObject({ err: '', code: 0 });
    expect(purged.out.indexOf(`${repo}:leaking leads to`)).toBeLessThan(purged.out.indexOf('Purge 1'));
    expect(purged.out).toContain('nothing was left of it');

    // Somebody is not sure whether it has worked, and does it again.
    expect((await run(secret, '--dry-run')).out).toContain('which purge 1 keeps out already');
    expect(await run('--manifest', `${repo}:leaking`, '--why', 'a key')).toMatchObject({
      code: 1,
      out: `there is no ${repo}:leaking any more, purge 1 has taken it ("wherry purge show 1"): nothing was purged\n`,
    });
    const shown = await run('show', '1', '--json');
    expect(shown.code).toBe(0);
    expect(JSON.parse(shown.out)).toMatchObject({
      id: 1,
      reason: 'a key',
      isClean: true,
      digests: [{ digest: secret }],
    });
    expect(shown.out).toContain('"kind":"tag"');
    expect((await run('show', '1')).out).toContain(`${repo}:leaking`);
    expect((await run('list')).out).toContain('a key');
    expect(await run('show', '2')).toMatchObject({ out: '', code: 1 });

    expect(await run('lift', secret)).toMatchObject({ code: 2 });
    expect(await run('lift', secret, '--why', ' ')).toMatchObject({ code: 2 });
    expect(await run('lift', secret, 'sha256:4f', '--why', 'revoked')).toMatchObject({
      code: 2,
      out: 'nothing was lifted: "sha256:4f" is not a digest: a sha256 digest has 64 hexadecimal digits, this one has 2\n',
    });
    expect(await run('lift', secret, '--why', 'revoked')).toMatchObject({
      out: `${secret} may be pushed again\n`,
      code: 0,
    });
    if (kind === 'no server') await registry.resume();
    expect((await registry.send(`/v2/${repo}/blobs/${secret}`)).status).toBe(404);
  });

  test('needs a reason and something to purge', async () => {
    const { registry, secret, run } = await prepared();
    await using _ = registry;
    for (const args of [[secret], [secret, '--why', ' '], ['--why', 'x'], [secret, '--shared', '--why', 'x']]) {
      const refused = await run(...args);
      expect(refused.code).toBe(2);
      expect(refused.out).toStartWith('nothing was purged: ');
    }
    expect(await run('--manifest', `${repo}:missing`, '--why', 'x')).toMatchObject({
      code: 1,
      out: `there is no ${repo}:missing: nothing was purged\n`,
    });
    expect(await run('list')).toMatchObject({ out: 'Nothing was ever purged.\n' });
  });

  test('says of what is typed wrong what to write instead, and changes nothing', async () => {
    const { registry, image, secret, run } = await prepared();
    await using _ = registry;
    const hash = secret.slice('sha256:'.length);
    const wrong: readonly (readonly [readonly string[], string])[] = [
      [[hash], `its algorithm is missing: write sha256:${hash}`],
      [[secret.toUpperCase()], 'in lower case'],
      [[secret.slice(0, -1)], 'this one has 63'],
      [[`${repo}:leaking`], `names an image: purge it with --manifest ${repo}:leaking`],
      [[`${repo}@${image.digest}`], `purge it with --manifest ${repo}@${image.digest}`],
      [['shw', '1'], '"shw" is not a digest'],
      [['--manifest', repo], `name an image of it, ${repo}:TAG or ${repo}@DIGEST`],
      [['--manifest', image.digest], 'without --manifest the digest is purged wherever it is'],
      [['--manifest', `${repo}@${hash}`], `write sha256:${hash}`],
    ];
    for (const [args, hint] of wrong) {
      const refused = await run(...args, '--why', 'x');
      expect(refused).toMatchObject({ err: '', code: 2 });
      expect(refused.out).toStartWith('nothing was purged: ');
      expect(refused.out).toContain(hint);
    }
    const shown = await run('show', 'all');
    expect(shown.code).toBe(2);
    expect(shown.out).toContain('wherry purge list');
    expect(await run('list')).toMatchObject({ out: 'Nothing was ever purged.\n' });
  });

  test('keeps out what was never here, and says that nothing of it is', async () => {
    const { registry, run } = await prepared();
    await using _ = registry;
    const purged = await run(digestOf(freshBytes()), '--why', 'it may come');
    expect(purged).toMatchObject({ err: '', code: 0 });
    expect(purged.out).toContain('Nothing of it is here. It is kept out all the same');
    expect(purged.out).toContain('is kept out\n');
  });

  test('takes an image, and says so to a program', async () => {
    const { registry, image, run } = await prepared();
    await using _ = registry;
    const purged = await run('--manifest', `${repo}:leaking`, '--why', 'all of it', '--shred', '--json');
    expect(purged).toMatchObject({ err: '', code: 0 });
    const answer = z
      .object({ plan: z.array(z.unknown()), purge: z.object({ digests: z.array(z.object({ digest: z.string() })) }) })
      .parse(JSON.parse(purged.out));
    expect(answer.purge.digests.map(({ digest }) => digest).sort()).toEqual([image.digest, ...image.blobs].sort());
    expect(answer.plan.length).toBeGreaterThan(image.blobs.length);
  });
});
