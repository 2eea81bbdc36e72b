import { expect, setDefaultTimeout, test } from 'bun:test';
import { findingsIn } from './fsck-process.ts';
import { heldIn } from './held-things.ts';
import { Killings } from './killings.ts';
import { SqueezedRegistry } from './squeezed-registry.ts';
import { runStorm } from './storm-process.ts';

/** The shortest that tells something is a few kills long. */
const seconds = Number(process.env['STORM_SECONDS'] ?? 190);
const seed = Number(process.env['STORM_SEED'] ?? Math.floor(Math.random() * 2 ** 32));
/** How long the collector may take for what is left in the end, in ms. */
const collectedWithinMs = 60_000;
const leastPushesASecond = 5;

/** What is promised is half the lease: a HEAD does not renew one of which more than that is left. */
const load = ['--processes', '8', '--clients', '2', '--lease', '1s', '--allow-down', '--delete-tags'];

setDefaultTimeout(seconds * 1000 * 2 + 180_000);

test('eight processes push, pull and delete the same digests while the registry is killed with -9: nothing acknowledged is lost, and nothing is left when all is deleted', async () => {
  console.log(`storm: seed ${seed} (STORM_SEED), ${seconds} s (STORM_SECONDS)`);
  await using registry = await SqueezedRegistry.start();
  const killings = new Killings(registry);
  const [{ code, text, report }] = await Promise.all([
    runStorm(registry, ...load, '--duration', `${seconds}s`, '--seed', String(seed)),
    killings.goOnUntil(Date.now() + seconds * 1000, seed),
  ]);
  console.log(`${text}\n${killings.count} kills`);
  expect(report.lost).toEqual([]);
  expect(report.wrong).toEqual([]);
  expect(code).toBe(0);
  expect(killings.problems).toEqual([]);
  expect(report.unanswered.filter(({ at }) => !killings.explains(at))).toEqual([]);
  expect(killings.count).toBeGreaterThanOrEqual(Math.floor(seconds / 12));
  expect(report.counts.pushesAcknowledged).toBeGreaterThanOrEqual(seconds * leastPushesASecond);
  expect(report.counts.imagesVerified).toBeGreaterThan(0);

  expect(await findingsIn(registry.dataDirectory)).toEqual([]);
  const deadline = performance.now() + collectedWithinMs;
  while (left(registry).length > 0 && performance.now() < deadline) await Bun.sleep(100);
  expect(left(registry)).toEqual([]);
  await registry.stop();
  expect(await findingsIn(registry.dataDirectory)).toEqual([]);
  expect(await registry.loggedErrors()).toEqual([]);
});

function left(registry: SqueezedRegistry) {
  return Object.entries(heldIn(registry.dataDirectory)).filter(([, count]) => count > 0);
}
