import { expect, setDefaultTimeout, test } from 'bun:test';
import { z } from 'zod';
import { chosenPlaces, seed } from '../crash/chosen-places.ts';
import { CrashingRegistry, type Fault } from '../crash/crashing-registry.ts';
import { failurePoints } from '../crash/failure-points.ts';
import { pullWhole } from '../crash/pull-whole.ts';
import { digestOf, freshBytes, imageOf, ociManifest } from '../http/content.ts';
import { testedBucket, testedPostgres } from '../pairs/pair.ts';

setDefaultTimeout(15 * 60_000);

/** How many registries are killed at the same time. */
const atOnce = 2;
/** In how many places it is killed, where that is not in all. */
const some = 20;
const repo = 'team/app';
const reason = 'a key was in it';

const records = z.object({
  purges: z.array(z.object({ id: z.number(), checkedAt: z.string().optional(), isClean: z.boolean().optional() })),
});

/** A registry with an image that has a secret, and one that shares all but the secret with it. */
class Story {
  readonly #registry: CrashingRegistry;
  readonly #config = freshBytes();
  readonly #layer = freshBytes();
  readonly #secret = freshBytes(3 * 1024 * 1024);
  readonly secret = digestOf(this.#secret);
  readonly clean = JSON.stringify(imageOf(this.#config, this.#layer));

  constructor(registry: CrashingRegistry) {
    this.#registry = registry;
  }

  async push(): Promise<void> {
    const { origin } = this.#registry;
    for (const body of [this.#config, this.#layer, this.#secret]) {
      const path = `${origin}/v2/${repo}/blobs/uploads/?digest=${digestOf(body)}`;
      expect((await fetch(path, { method: 'POST', body })).status).toBe(201);
    }
    const images = [
      ['clean', this.clean],
      ['leaking', JSON.stringify(imageOf(this.#config, this.#layer, this.#secret))],
    ];
    for (const [tag, body] of images) {
      const headers = { 'content-type': ociManifest };
      const put = await fetch(`${origin}/v2/${repo}/manifests/${tag}`, { method: 'PUT', headers, body: body ?? '' });
      expect(put.status).toBe(201);
    }
  }

  /** @returns whether it was acknowledged */
  async purge(): Promise<boolean> {
    try {
      // Its manifest too, so that the database's log is emptied; what the other image needs stays.
      const body = { images: [`${repo}:leaking`], reason, shred: true };
      const answer = await this.#registry.admin('POST', '/purge', body);
      return answer.status === 200;
    } catch {
      return false;
    }
  }

  async blobStatus(): Promise<number> {
    return (await fetch(`${this.#registry.origin}/v2/${repo}/blobs/${this.secret}`)).status;
  }

  async imageStatus(): Promise<number> {
    return (await fetch(`${this.#registry.origin}/v2/${repo}/manifests/leaking`)).status;
  }

  async records(): Promise<z.output<typeof records>['purges']> {
    return records.parse(await (await this.#registry.admin('GET', '/purges')).json()).purges;
  }
}

let reachedByPurge: readonly Fault[] = [];

/** What a purge does to rows and to bytes, by the calls of the pair under test. */
const callsOfRows = testedPostgres === undefined ? ['commit', 'syncLog', 'emptyLog'] : ['statement', 'commit'];
const callsOfBytes =
  testedBucket === undefined ? ['overwrite', 'syncObject', 'truncate', 'unlink', 'syncShard'] : ['remove'];

test('a purge reaches the failure points of all that it does', async () => {
  await using registry = new CrashingRegistry();
  await registry.start();
  const story = new Story(registry);
  await story.push();
  await registry.settled();
  const before = registry.reached();
  expect(await story.purge()).toBe(true);
  const counts = new Map<string, number>();
  for (const point of before) counts.set(point, (counts.get(point) ?? 0) + 1);
  const faults: Fault[] = [];
  for (const point of registry.reached().slice(before.length)) {
    const nth = (counts.get(point) ?? 0) + 1;
    counts.set(point, nth);
    if (failurePoints.includes(point)) faults.push({ kind: 'kill', point, nth });
  }
  reachedByPurge = faults;
  const points = new Set(faults.map(({ point }) => point));
  // X1 and X2 among them.
  for (const call of [...callsOfRows, ...callsOfBytes]) {
    expect([call, points.has(`before ${call}`), points.has(`after ${call}`)]).toEqual([call, true, true]);
  }
});

test('killed with -9 at any of them, a purge is finished before the first request is answered, or has never begun', async () => {
  const waiting = [...chosenPlaces(reachedByPurge, some)];
  console.log(`${waiting.length} of ${reachedByPurge.length} places, CRASH_SEED=${seed}`);
  const problems: string[] = [];
  const killed = new Set<string>();
  const work = async (): Promise<void> => {
    for (let fault = waiting.shift(); fault !== undefined; fault = waiting.shift()) {
      try {
        if (await survives(fault)) killed.add(fault.point);
      } catch (error) {
        problems.push(`${fault.point}, time ${fault.nth}: ${String(error)}`);
      }
    }
  };
  await Promise.all(Array.from({ length: atOnce }, work));
  const removing = testedBucket === undefined ? ['after truncate', 'before unlink'] : ['before remove', 'after remove'];
  const wanted = ['after commit', ...removing];
  // The disk is synced at other times in each run: where it came to none of the places of a point, to any of them.
  waiting.push(...reachedByPurge.filter(({ point }) => wanted.includes(point) && !killed.has(point)));
  await work();
  expect(problems).toEqual([]);
  expect(wanted.filter((point) => !killed.has(point))).toEqual([]);
});

/** @returns whether the fault has happened @throws where the purge is half done, or something else is lost */
async function survives(fault: Fault): Promise<boolean> {
  await using registry = new CrashingRegistry();
  const story = new Story(registry);
  if (!(await registry.start(fault))) return false;
  try {
    await story.push();
  } catch (error) {
    // It came to the point before the purge, as the disk was synced at other times.
    if (await registry.hasEnded()) return false;
    throw error;
  }
  const isAcknowledged = await story.purge();
  const hasEnded = (await registry.hasEnded()) || (await registry.isKilledAsItStops());
  expect(await registry.findings()).toEqual([]);
  await registry.start();
  const status = await story.blobStatus();
  if (isAcknowledged) expect(status).toBe(403);
  const purges = await story.records();
  if (status === 200) {
    // Nothing of it is committed.
    expect(purges).toEqual([]);
    expect(await pullWhole(registry.origin, repo, 'leaking')).toStartWith('sha256:');
    expect(await story.purge()).toBe(true);
  } else {
    expect(purges.map(({ isClean }) => isClean)).toEqual([true]);
  }
  expect([await story.blobStatus(), await story.imageStatus()]).toEqual([403, 403]);
  expect(await pullWhole(registry.origin, repo, 'clean')).toBe(digestOf(story.clean));
  await registry.settled();
  expect(await registry.stop()).toBe(0);
  expect(await registry.findings()).toEqual([]);
  return hasEnded;
}
