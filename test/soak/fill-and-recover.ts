import { mib } from './checks.ts';
import { layerOf, pullImage, pushImage, RefusedPush } from './images.ts';
import { layerMibOf, mebibyte, type Soak, soakWindows, within } from './soak.ts';
import { SoakRegistry } from './soak-registry.ts';

const pushers = 4;
/** Of the image that makes room again, the layers. */
const largeLayers = 12;
/** What pulls may lose of their speed on a full disk. */
const leastShareOfSpeed = 0.5;
const measuredPulls = 40;

/** Nothing is deleted and no policy is set: the disk fills up, pushes are refused, pulls go on, and one delete helps. */
export async function fillAndRecover({ executable, disk, mebibytes, logs, checks }: Soak): Promise<void> {
  if (disk.usedBytes === undefined) {
    console.log('      without a file system of its own, none can be filled up: left out');
    return;
  }
  const layerMib = layerMibOf(mebibytes);
  const reserveMib = 5 * layerMib;
  const settings = { ...soakWindows, 'storage-reserve': `${reserveMib}MiB` };
  await using registry = await SoakRegistry.start(executable, disk, { name: 'full', logs, settings });
  await pushImage(registry, { repo: 'favoured', tag: 'v1', layers: [layerOf(layerMib)] });
  const layers = Array.from({ length: largeLayers }, () => layerOf(layerMib));
  const large = await pushImage(registry, { repo: 'large', tag: 'v1', layers });
  const before = await pullRate(registry);

  let pushed = 0;
  const refusals: RefusedPush[] = [];
  const problems: string[] = [];
  const push = async (pusher: number): Promise<void> => {
    for (let build = 0; ; build++) {
      try {
        const image = { repo: 'full', tag: `build-${pusher}-${build}`, layers: [layerOf(layerMib)] };
        await pushImage(registry, image);
        pushed++;
      } catch (error) {
        if (error instanceof RefusedPush) refusals.push(error);
        else problems.push(String(error));
        return;
      }
    }
  };
  await Promise.all(Array.from({ length: pushers }, (_, pusher) => push(pusher)));

  const { disk: full, state, bounds } = await registry.status();
  const isReserve = ({ status, text }: RefusedPush) => status === 507 && text.includes('are kept in reserve');
  checks.check('pushes end with 507 that tells of the reserve', refusals.every(isReserve), refusals.length);
  checks.check('nothing else goes wrong', problems.length === 0, problems.join('; '));
  const free = `${mib(full.freeBytes)} free after ${pushed} images`;
  const leastFreeBytes = (reserveMib - pushers * layerMib) * mebibyte;
  checks.check('no more of the reserve is taken than by uploads under way', full.freeBytes >= leastFreeBytes, free);
  checks.check(
    'the status says so',
    state === 'under-reserve' && bounds.stuck === 'nothing-left',
    `${state} ${bounds.stuck}`,
  );
  const after = await pullRate(registry);
  const speeds = `${Math.round(after)} of ${Math.round(before)} MiB a second`;
  checks.check('pulls go on at full speed', after >= before * leastShareOfSpeed, speeds);
  const config = await registry.send('/v2/favoured/manifests/v1');
  const again = await registry.send('/v2/favoured/manifests/v2', {
    method: 'PUT',
    body: await config.text(),
    headers: { 'content-type': config.headers.get('content-type') ?? '' },
  });
  checks.check('manifests of what is there are taken', again.status === 201, again.status);

  await registry.send(`/v2/large/manifests/${large}`, { method: 'DELETE' });
  const recoveredMs = await within(20_000, async () => {
    const answer = await registry.send('/v2/full/blobs/uploads/', { method: 'POST' });
    if (answer.status !== 202) return false;
    await registry.send(answer.headers.get('location') ?? '', { method: 'DELETE' });
    return true;
  });
  checks.check('one delete brings it back by itself', recoveredMs !== undefined, `after ${recoveredMs} ms`);
  const image = { repo: 'full', tag: 'again', layers: [layerOf(1)] };
  const problem = await pushImage(registry, image).then(
    () => '',
    (error: unknown) => String(error),
  );
  checks.check('pushes go on', problem === '', problem);
  const found = await registry.fsck();
  checks.check('fsck finds nothing wrong', found === undefined, found ?? '');
  const errors = (await registry.loggedErrors()).filter((line) => !line.includes('"status":507'));
  checks.check('the log has no error but refusals', errors.length === 0, errors.slice(0, 3).join('\n'));
  checks.check('the registry ends in good order', (await registry.stop()) === 0);
}

/** In MiB a second, of the fastest quarter of some pulls: the machine may have other work meanwhile. */
async function pullRate(registry: SoakRegistry): Promise<number> {
  const rates: number[] = [];
  for (let pull = 0; pull < measuredPulls; pull++) {
    const begun = performance.now();
    const bytes = await pullImage(registry, 'favoured', 'v1');
    rates.push(bytes / mebibyte / ((performance.now() - begun) / 1000));
  }
  const fastest = rates.sort((a, b) => b - a).slice(0, Math.ceil(measuredPulls / 4));
  return fastest.reduce((sum, rate) => sum + rate, 0) / fastest.length;
}
