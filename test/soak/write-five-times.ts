import { z } from 'zod';
import { mib } from './checks.ts';
import { layerOf, pullImage, pushImage, RefusedPush } from './images.ts';
import { layerMibOf, mebibyte, type Soak, soakWindows, within } from './soak.ts';
import { SoakRegistry } from './soak-registry.ts';

const tagList = z.object({ tags: z.array(z.string()) });

const pushers = 4;
/** How many of its images a pusher leaves tagged. */
const keptTags = 4;
/**
 * Of the disk, that much is written a second at most: what was deleted within the last lease, of 5 s, cannot go, so that
 * it must not be more than the disk has room for. A fast machine waits.
 */
const mostShareOfDisk = 1 / 20;
/** So often the disk is looked at, in ms. */
const lookEveryMs = 20;
const favoured = 3;

/**
 * Pushers write five times what the disk holds, and delete all but their latest images, which only end in the trash;
 * pullers favour some images, one is pinned. The bounds have to make room all the time.
 */
export async function writeFiveTimes({ executable, disk, mebibytes, logs, checks }: Soak): Promise<void> {
  // The first layer is shared by all images of a repository.
  const own = layerMibOf(mebibytes);
  const shared = Math.ceil(own / 4);
  const high = disk.usedBytes === undefined ? `${Math.floor(mebibytes * 0.8)}MiB` : '80%';
  const low = disk.usedBytes === undefined ? `${Math.floor(mebibytes * 0.6)}MiB` : '60%';
  const settings = { ...soakWindows, 'storage-high': high, 'storage-low': low, 'storage-reserve': '32MiB' };
  await using registry = await SoakRegistry.start(executable, disk, { name: 'policies', logs, settings });

  const kept: (readonly [repo: string, tag: string])[] = [];
  for (let number = 0; number < favoured; number++) {
    await pushImage(registry, { repo: 'favoured', tag: `v${number}`, layers: [layerOf(own)] });
    kept.push(['favoured', `v${number}`]);
  }
  await pushImage(registry, { repo: 'pinned', tag: 'v1', layers: [layerOf(own)] });
  await registry.admin('POST', '/pins', { target: 'pinned:v1', reason: 'the soak keeps it' });
  kept.push(['pinned', 'v1']);

  let writtenBytes = 0;
  let mostUsedBytes = 0;
  let pulls = 0;
  const over = new AbortController();
  const problems: string[] = [];
  const toWriteBytes = 5 * mebibytes * mebibyte;

  const begun = performance.now();
  const push = async (pusher: number): Promise<void> => {
    const repo = `team/app-${pusher}`;
    const base = layerOf(shared);
    let nextAt = 0;
    for (let build = 0; writtenBytes < toWriteBytes; build++) {
      await Bun.sleep(Math.max(0, nextAt - performance.now()));
      nextAt = performance.now() + (own / (mebibytes * mostShareOfDisk)) * pushers * 1000;
      try {
        const layers = [base, layerOf(own)];
        await pushImage(registry, { repo, tag: `build-${build}`, layers });
        writtenBytes += own * mebibyte;
        if (build < keptTags) continue;
        const gone = await registry.send(`/v2/${repo}/manifests/build-${build - keptTags}`, { method: 'DELETE' });
        if (gone.status !== 202) problems.push(`a delete was answered with ${gone.status}`);
      } catch (error) {
        problems.push(String(error));
        if (!(error instanceof RefusedPush) || problems.length > 20) return;
      }
    }
  };
  const pull = async (): Promise<void> => {
    while (!over.signal.aborted) {
      for (const [repo, tag] of kept.slice(0, favoured)) {
        await pullImage(registry, repo, tag).catch((error: unknown) => problems.push(`a pull: ${String(error)}`));
        pulls++;
      }
      await Bun.sleep(100);
    }
  };
  const watch = async (): Promise<void> => {
    while (!over.signal.aborted) {
      mostUsedBytes = Math.max(mostUsedBytes, disk.usedBytes ?? (await registry.status()).bounds.usedBytes);
      await Bun.sleep(disk.usedBytes === undefined ? 500 : lookEveryMs);
    }
  };
  const others = [pull(), watch()];
  await Promise.all(Array.from({ length: pushers }, (_, pusher) => push(pusher)));
  const tookMs = performance.now() - begun;
  over.abort();
  await Promise.all(others);

  const { bounds } = await registry.status();
  const rate = `${mib(writtenBytes)}, ${Math.round(writtenBytes / mebibyte / (tookMs / 1000))} MiB a second, ${pulls} pulls`;
  checks.check('five times what the disk holds is written', writtenBytes >= toWriteBytes, rate);
  checks.check('no push, pull or delete is refused', problems.length === 0, problems.slice(0, 5).join('; '));
  const uploadsBytes = pushers * (shared + own) * mebibyte;
  const highBytes = bounds.highBytes ?? 0;
  const most = `${mib(mostUsedBytes)} used at most, ${mib(highBytes)} are storage.high`;
  checks.check(
    'no more is used than storage.high and one upload a pusher',
    mostUsedBytes <= highBytes + uploadsBytes,
    most,
  );
  const atLowMs = await within(30_000, async () =>
    (await registry.status()).events.some(({ kind }) => kind === 'disk.low'),
  );
  const made = bounds.made?.trashedTags ?? 0;
  checks.check('room is made down to storage.low', atLowMs !== undefined, `${made} tags left the trash early`);
  let lost = 0;
  for (const [repo, tag] of kept) await pullImage(registry, repo, tag).catch(() => lost++);
  for (let pusher = 0; pusher < pushers; pusher++) {
    const answer = await registry.send(`/v2/team/app-${pusher}/tags/list`);
    const { tags } = tagList.parse(await answer.json());
    for (const tag of tags) await pullImage(registry, `team/app-${pusher}`, tag).catch(() => lost++);
    for (const tag of tags) kept.push([`team/app-${pusher}`, tag]);
  }
  checks.check('favoured, pinned and tagged images can be pulled whole', lost === 0, `${lost} of ${kept.length} lost`);
  const found = await registry.fsck();
  checks.check('fsck finds nothing wrong', found === undefined, found ?? '');

  await registry.admin('DELETE', '/pins?target=pinned:v1');
  for (const [repo, tag] of kept) await registry.send(`/v2/${repo}/manifests/${tag}`, { method: 'DELETE' });
  await registry.admin('POST', '/trash/empty', {});
  const goneMs = await within(30_000, () => registry.objectFiles === 0);
  checks.check('everything deleted has its bytes back on the file system', goneMs !== undefined, `${goneMs} ms`);
  const { stored } = await registry.status();
  const left = stored.held.bytes + stored.uploads.bytes + stored.garbage.condemned.bytes + stored.garbage.dead.bytes;
  checks.check('the count of what is stored is 0', left === 0, left);
  if (disk.usedBytes !== undefined) {
    checks.check('what is left is the database and its reserve', disk.usedBytes < 48 * mebibyte, mib(disk.usedBytes));
  }
  const errors = await registry.loggedErrors();
  checks.check('the log has no error', errors.length === 0, errors.slice(0, 3).join('\n'));
  checks.check('the registry ends in good order', (await registry.stop()) === 0);
}
