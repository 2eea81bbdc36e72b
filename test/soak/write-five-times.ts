import { mib } from './checks.ts';
import { layerOf, pullImage, pushImage } from './images.ts';
import { keptOfNightly, policies, reasonForRoom, reasonOfNightly } from './policies.ts';
import { layerMibOf, mebibyte, type Soak, soakWindows, within } from './soak.ts';
import { SoakRegistry } from './soak-registry.ts';
import { pushAndPull } from './traffic.ts';

/** What is pushed to: policies keep no more than the newest of the last. */
const repositories = ['team/app-0', 'team/app-1', 'team/app-2', 'nightly/app'] as const;
const nightly = 'nightly/app';
const pushers = repositories.length;
/**
 * Of the disk, that much is written a second at most, so that a fast machine waits: what was used within 5 s is kept by a
 * rule, what has a lease that a client was given goes when that is over, and both must fit between `low` and `high`.
 */
const mostShareOfDisk = 1 / 32;
/** Longer than a machine with other work takes from one request of a push to the next. */
const windows = { ...soakWindows, 'windows-lease': '8s' };
/** Of the tags that went, so many of a repository are asked why. */
const askedWhy = 10;

/**
 * Pushers write five times what the disk holds and delete nothing; pullers favour some images, some are pinned that
 * nobody pulls. Policies and the bounds have to make room all the time.
 */
export async function writeFiveTimes({ executable, disk, mebibytes, logs, checks }: Soak): Promise<void> {
  // The first layer is shared by all images of a repository.
  const own = layerMibOf(mebibytes);
  const shared = Math.ceil(own / 4);
  const high = disk.usedBytes === undefined ? `${Math.floor(mebibytes * 0.8)}MiB` : '80%';
  const low = disk.usedBytes === undefined ? `${Math.floor(mebibytes * 0.6)}MiB` : '60%';
  const settings = {
    ...windows,
    'storage-high': high,
    'storage-low': low,
    'storage-reserve': '32MiB',
    'retention-delay': '1s',
  };
  const emptyBytes = disk.usedBytes;
  await using registry = await SoakRegistry.start(executable, disk, { name: 'policies', logs, settings, policies });
  await within(10_000, async () => (await registry.retention()).policies.every(({ state }) => state === 'approved'));

  const favoured: (readonly [repo: string, tag: string])[] = [];
  const pinned: (readonly [repo: string, tag: string])[] = [];
  for (const repo of repositories) {
    for (const [tag, kind] of [
      ['favoured', favoured],
      ['pinned', pinned],
    ] as const) {
      await pushImage(registry, { repo, tag, layers: [layerOf(own)] });
      kind.push([repo, tag]);
    }
    await registry.admin('POST', '/pins', { target: `${repo}:pinned`, reason: 'the soak keeps it' });
  }

  const traffic = { repositories, favoured, own, shared, mebibytes, mostShareOfDisk };
  const seen = await pushAndPull(registry, disk, traffic);

  const { bounds } = await registry.status();
  const { pushed, writtenBytes, mostUsedBytes, leastUsedBytes, pulls, problems, states, tookMs } = seen;
  const rate = `${mib(writtenBytes)}, ${Math.round(writtenBytes / mebibyte / (tookMs / 1000))} MiB a second, ${pulls} pulls`;
  checks.check('five times what the disk holds is written', writtenBytes >= 5 * mebibytes * mebibyte, rate);
  checks.check('no push or pull is refused', problems.length === 0, problems.slice(0, 5).join('; '));
  const imageBytes = (shared + own) * mebibyte;
  const { highBytes = 0, lowBytes = 0 } = bounds;
  const most = `${mib(mostUsedBytes)} used at most, ${mib(highBytes)} are storage.high`;
  checks.check(
    'no more is used than storage.high and one upload a pusher',
    mostUsedBytes <= highBytes + pushers * imageBytes,
    most,
  );
  const least = `${mib(leastUsedBytes)} used at least since, ${mib(lowBytes)} are storage.low`;
  checks.check('no more goes than it takes', leastUsedBytes >= lowBytes - pushers * imageBytes, least);
  const said = [...states].join(', ');
  checks.check(
    'the status says that room is made',
    states.has('making-room') && states.isSubsetOf(new Set(['within-bounds', 'making-room'])),
    said,
  );
  const atLowMs = await within(30_000, async () => (await registry.status()).state === 'within-bounds');
  checks.check(
    'room is made down to storage.low',
    atLowMs !== undefined,
    `${bounds.made?.prunedTags ?? 0} tags went last`,
  );

  // Beside these its favoured and its pinned image.
  const isAtNewest = async () => (await registry.tags(nightly)).length === keptOfNightly + 2;
  const newestMs = await within(20_000, isAtNewest);
  checks.check('a policy that prunes all the time has left what it keeps', newestMs !== undefined, `${newestMs} ms`);

  let lost = 0;
  const left: (readonly [repo: string, tag: string])[] = [];
  for (const [repo, tags] of pushed) {
    const there = new Set(await registry.tags(repo));
    const gone = tags.filter((tag) => !there.has(tag));
    for (const tag of there) left.push([repo, tag]);
    const reasons = await Promise.all(gone.slice(0, askedWhy).map((tag) => registry.whyRemoved(repo, tag)));
    const expected = repo === nightly ? reasonOfNightly : reasonForRoom;
    const areSo = reasons.length > 0 && reasons.every((reason) => reason?.includes(expected) === true);
    checks.check(`${repo} has lost tags, and each says why`, areSo, `${gone.length} of ${tags.length}: ${reasons[0]}`);
  }
  for (const [repo, tag] of [...favoured, ...pinned]) await pullImage(registry, repo, tag).catch(() => lost++);
  checks.check('favoured and pinned images can be pulled whole', lost === 0, `${lost} lost`);
  for (const [repo, tag] of left) await pullImage(registry, repo, tag).catch(() => lost++);
  checks.check('so can all that are tagged', lost === 0, `${lost} of ${left.length} lost`);
  const found = await registry.fsck();
  checks.check('fsck finds nothing wrong', found === undefined, found ?? '');

  for (const [repo] of pinned) await registry.admin('DELETE', `/pins?target=${repo}:pinned`);
  for (const [repo, tag] of left) await registry.send(`/v2/${repo}/manifests/${tag}`, { method: 'DELETE' });
  await registry.admin('POST', '/trash/empty', {});
  const goneMs = await within(30_000, () => registry.objectFiles === 0);
  checks.check('everything deleted has its bytes back on the file system', goneMs !== undefined, `${goneMs} ms`);
  const { stored } = await registry.status();
  const stays = stored.held.bytes + stored.uploads.bytes + stored.garbage.condemned.bytes + stored.garbage.dead.bytes;
  checks.check('the count of what is stored is 0', stays === 0, stays);
  if (disk.usedBytes !== undefined && emptyBytes !== undefined) {
    const overBytes = disk.usedBytes - emptyBytes - stored.databaseBytes;
    checks.check('what is left is the database and its reserve', overBytes < 16 * mebibyte, mib(disk.usedBytes));
  }
  checks.check(
    'nothing was answered with 500 or more',
    registry.serverErrors.length === 0,
    registry.serverErrors.join(),
  );
  const errors = await registry.loggedErrors();
  checks.check('the log has no error', errors.length === 0, errors.slice(0, 3).join('\n'));
  checks.check('the registry ends in good order', (await registry.stop()) === 0);
}
