import { expect, setDefaultTimeout, test } from 'bun:test';
import { readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { Acknowledgements } from './acknowledgements.ts';
import { CrashRun } from './crash-run.ts';
import { digestOf, parseManifest } from './image-content.ts';
import { LightPusher } from './light-pusher.ts';
import { Outages } from './outages.ts';
import { realClients, workWithClient } from './real-clients.ts';
import { SeededRandom } from './seeded-random.ts';
import { setStage } from './stage.ts';

/** Another seed, or more time for a soak, can be given by the environment. */
const seed = Number(process.env['E2E_CRASH_SEED'] ?? Math.floor(Math.random() * 2 ** 32));
const durationMs = Number(process.env['E2E_CRASH_SECONDS'] ?? 60) * 1000;
/** How many of each are shown where something is wrong. */
const shown = 10;
const lightPushers = 4;
const fewestKills = 10;
const fewestImages = 200;

// What is pushed in a minute takes less than one to read.
setDefaultTimeout(240_000 + 5 * durationMs);

const stage = setStage('crash', { mayLogErrors: true });
const { wherry, home, fixtures } = stage;
const acknowledgements = new Acknowledgements(join(home.directory, 'acknowledged.jsonl'));

test('eight clients push and pull while the registry is killed with -9 again and again: all that was acknowledged is intact', async () => {
  console.log(`crash test: seed ${seed} (E2E_CRASH_SEED), ${durationMs / 1000} s`);
  const random = new SeededRandom(seed);
  const outages = new Outages(wherry);
  const clients = await realClients(home, wherry.host);
  const begunAt = performance.now();
  // Longer on a machine that is too busy for what the time is meant for.
  const isTimeUp = (): boolean => {
    const ms = performance.now() - begunAt;
    const isEnough = acknowledgements.images.length >= fewestImages && outages.kills >= fewestKills;
    return ms > durationMs && (isEnough || ms > 3 * durationMs);
  };
  const run = new CrashRun({ host: wherry.host, home, fixtures, acknowledgements, outages, isTimeUp });
  await Promise.all([
    outages.keepKilling(isTimeUp, random.fork()),
    ...clients.map(async (client) => workWithClient(run, client, random.fork())),
    ...Array.from({ length: lightPushers }, async (_, position) => {
      await new LightPusher(run, random.fork(), `light-${position + 1}`).work();
    }),
  ]);
  await outages.killOnce();

  const imageCount = acknowledgements.images.length;
  const startedAt = performance.now();
  const { losses, readBytes } = await acknowledgements.findLosses(wherry.origin);
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
  report(run, outages);
  console.log(`  ${imageCount} images, ${(readBytes / 2 ** 20).toFixed(0)} MiB, pulled back in ${seconds} s`);
  expect(await wherry.loggedErrors()).toEqual([]);
  expect(run.violations.slice(0, shown)).toEqual([]);
  expect(losses.slice(0, shown)).toEqual([]);
  expect(imageCount).toBeGreaterThanOrEqual(fewestImages);
  expect(outages.kills).toBeGreaterThanOrEqual(fewestKills);
  expect(run.pulls).toBeGreaterThan(0);
});

test('an acknowledged image whose bytes have gone from the disk does not escape the check above', async () => {
  const [image, other] = acknowledgements.images.filter(({ client }) => client === 'light-1');
  if (image === undefined || other === undefined) throw new Error('the first light pusher has pushed no two images');
  const [layer] = parseManifest(await stage.repository(image.repository).manifest(image.digest)).layers ?? [];
  const files = filesHolding(layer?.digest ?? '', layer?.size ?? 0);
  expect(files).not.toEqual([]);
  await wherry.kill();
  for (const file of files) rmSync(file);
  await wherry.start();

  const two = new Acknowledgements(join(home.directory, 'two.jsonl'));
  for (const each of [image, other]) two.pushed(each);
  const { losses } = await two.findLosses(wherry.origin);
  expect(losses).toHaveLength(1);
  expect(losses.join()).toContain(image.digest);
});

function report(run: CrashRun, outages: Outages): void {
  const count = (names: readonly string[]): string =>
    Object.entries(Object.groupBy(names, (name) => name))
      .map(([name, same = []]) => `${name} ${same.length}`)
      .toSorted()
      .join(', ');
  const restarts = outages.restartsMs.toSorted((one, other) => one - other);
  const [median = 0, longest = 0] = [restarts[Math.floor(restarts.length / 2)], restarts.at(-1)];
  const retries = [...run.retries].flatMap(([name, times]) => Array<string>(times).fill(name));
  console.log(
    [
      `  ${outages.kills} kills; ready again after ${median.toFixed(0)} ms (median), ${longest.toFixed(0)} ms at most`,
      `  ${acknowledgements.images.length} images acknowledged (${count(acknowledgements.images.map((image) => image.client))})`,
      `  ${acknowledgements.deleted.length} deletes acknowledged, ${run.pulls} images pulled back meanwhile`,
      `  ${retries.length} retries (${count(retries)})`,
      `  ${run.resumedUploads} uploads resumed, ${run.lostUploads} begun anew`,
    ].join('\n'),
  );
}

/** The files of the data directory that hold a blob's bytes, whatever their names. */
function filesHolding(digest: string, sizeBytes: number): readonly string[] {
  return readdirSync(wherry.dataDirectory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((file) => statSync(file).size === sizeBytes && digestOf(readFileSync(file)) === digest);
}
