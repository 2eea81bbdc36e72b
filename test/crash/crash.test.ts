import { expect, setDefaultTimeout, test } from 'bun:test';
import { isJsonObject } from '../../src/oci/json.ts';
import { until } from '../server/until.ts';
import { chosenPlaces, seed } from './chosen-places.ts';
import { CrashingRegistry, type Fault } from './crashing-registry.ts';
import { calleeAt, failurePoints, takeOverPoints } from './failure-points.ts';
import type { Failure } from './failures.ts';
import { pullWhole } from './pull-whole.ts';
import { Workload } from './workload.ts';

setDefaultTimeout(45 * 60_000);

/** How many registries fail at the same time. */
const atOnce = 2;
/** The calls that are made to fail, where somebody looks for one mistake: a part of their names. */
const only = process.env['CRASH_ONLY'] ?? '';
/** In how many places of the workload each kind of fault happens, where that is not in all. */
const someOf: Readonly<Record<Fault['kind'], number>> = { kill: 40, full: 12, error: 12, 'lost-answer': 12 };
/** How often a chain of kills is tried until each has come. */
const mostTries = 5;
/** After how many hours everything that was deleted is gone. */
const hoursUntilEmpty = 6;

interface Reached {
  readonly step: string;
  readonly point: string;
  /** How often it has been reached before in the life of the process, and this time. */
  readonly nth: number;
}

/** Where a chunk is written. */
const writing = new Set(['before end', 'before put']);
/** The steps in which a cancelled upload goes: in the next one, where that takes longer. */
const cancelling = new Set([
  'a large upload that is cancelled',
  'an upload that is cancelled',
  'an upload that nobody ends',
]);
/** Where the first bytes of something go for good. */
const removing = new Set(['before unlink', 'before remove']);

let everyStep: readonly Reached[] = [];

test('the workload reaches every failure point there is', async () => {
  await using registry = new CrashingRegistry();
  expect(await registry.start()).toBe(true);
  const counts = new Map<string, number>();
  const reached: Reached[] = [];
  let read = 0;
  let step = 'starting';
  const take = (): void => {
    const inStep = new Set<string>();
    const lines = registry.reached();
    for (const point of lines.slice(read)) {
      const nth = (counts.get(point) ?? 0) + 1;
      counts.set(point, nth);
      if (!inStep.has(point) && failurePoints.includes(point)) reached.push({ step, point, nth });
      inStep.add(point);
    }
    read = lines.length;
  };
  const workload = new Workload(registry, false);
  await workload.run((name) => {
    take();
    step = name;
  });
  await verify(registry, workload);
  expect(workload.prunable.size).toBe(1);
  expect(registry.fateOf('scratch', 'old')).toMatchObject({ isThere: false, events: 1 });
  everyStep = reached;
  const known = new Set(reached.map(({ point }) => point));
  expect(failurePoints.filter((point) => !known.has(point))).toEqual([]);
  console.log(`${failurePoints.length} failure points, reached in ${reached.length} places of the workload`);
});

test('killed with -9 at any failure point in any step, it has lost nothing that it acknowledged and leaks nothing', async () => {
  await allSurvive('kill', everyStep);
});

test.each(['full', 'error'] as const)(
  'a call that fails (%s) leads to a refusal, to no loss and to no leak, whichever call it is in any step',
  async (kind) => {
    await allSurvive(
      kind,
      everyStep.filter(({ point }) => point.startsWith('before') && calleeAt(point) !== 'client'),
    );
  },
);

test('nor does a call of a server whose answer is lost, whichever call it is in any step', async () => {
  const callees = new Set(['postgres', 'bucket']);
  await allSurvive(
    'lost-answer',
    everyStep.filter(({ point }) => point.startsWith('after') && callees.has(calleeAt(point))),
  );
});

test('killed again and again while it takes up what a kill has left, it gets there in the end', async () => {
  const first = everyStep.find(({ point, step }) => removing.has(point) && cancelling.has(step));
  if (first === undefined) throw new Error('nothing is removed');
  const points = ['before unlink', 'after unlink', 'before remove', 'after remove', 'before syncShard', 'after commit'];
  const again = [...points, 'before syncLog']
    .filter((point) => failurePoints.includes(point))
    .map((point): Fault => ({ kind: 'kill', point, nth: 1 }));
  // Whether something is left to be removed depends on what exactly the first kill has met, which is not the same in every run.
  let isReached = false;
  for (let tries = 0; tries < mostTries && !isReached; tries++)
    isReached = await survives({ kind: 'kill', point: first.point, nth: first.nth }, again);
  expect(isReached).toBe(true);
});

test('an upload that a killed process has left goes on in another, which may be killed at that as well', async () => {
  await using registry = new CrashingRegistry();
  const workload = new Workload(registry, false);
  const first = everyStep.find(({ point, step }) => writing.has(point) && step === 'a blob in chunks');
  if (first === undefined) throw new Error('nothing is written');
  // In the middle of the second chunk.
  expect(await registry.start({ kind: 'kill', point: first.point, nth: first.nth + 1 })).toBe(true);
  await workload.run();
  expect([...workload.unfinished.values()]).toMatchObject([{ sentBytes: 1000 }]);
  for (const point of takeOverPoints) {
    expect(await registry.start({ kind: 'kill', point, nth: 1 })).toBe(true);
    const { unfinished } = workload;
    const [session, upload] = [...unfinished][0] ?? [];
    await workload.resume().catch(() => undefined);
    await until(`it ends ${point}`, () => registry.hasEnded());
    expect(await registry.findings()).toEqual([]);
    if (session !== undefined && upload !== undefined) unfinished.set(session, upload);
  }
  await goesOn(registry, workload);
  expect(workload.unfinished.size).toBe(0);
});

/** Has a registry fail in each place, or in some, each failure point among them. */
async function allSurvive(kind: 'kill' | Failure, reached: readonly Reached[]): Promise<void> {
  const wanted = reached.filter(({ point }) => point.includes(only));
  const faults = chosenPlaces(wanted, someOf[kind]).map(({ point, nth }): Fault => ({ kind, point, nth }));
  console.log(`${kind}: ${faults.length} of ${reached.length} places, CRASH_SEED=${seed}`);
  const { messages, reached: hit } = await inTurn(faults);
  // What is written down by itself is not in every run as often: where it came to none of the places of a point, to the first.
  const missed = [...new Set(faults.map(({ point }) => point))].filter((point) => !hit.has(point));
  const first = missed.flatMap((point) => reached.find((place) => place.point === point) ?? []);
  const again = await inTurn(first.map(({ point, nth }) => ({ kind, point, nth })));
  expect([...messages, ...again.messages]).toEqual([]);
  expect(missed.filter((point) => !again.reached.has(point))).toEqual([]);
}

/** Lets one registry after the other fail, some at once. */
async function inTurn(
  faults: readonly Fault[],
): Promise<{ messages: readonly string[]; reached: ReadonlySet<string> }> {
  const messages: string[] = [];
  const reached = new Set<string>();
  const waiting = [...faults];
  const work = async (): Promise<void> => {
    for (let fault = waiting.shift(); fault !== undefined; fault = waiting.shift()) {
      const name = `${fault.kind} ${fault.point}, time ${fault.nth}`;
      try {
        if (await survives(fault)) reached.add(fault.point);
      } catch (error) {
        messages.push(`${name}: ${String(error)}`);
        console.log(`${name}: ${String(error)}`);
      }
    }
  };
  await Promise.all(Array.from({ length: atOnce }, work));
  return { messages, reached };
}

/**
 * @param again what ends it, one after the other, when it is started again
 * @returns whether the faults have happened @throws where something is lost or leaks because of it
 */
async function survives(fault: Fault, again: readonly Fault[] = []): Promise<boolean> {
  await using registry = new CrashingRegistry();
  const workload = new Workload(registry, fault.kind !== 'kill');
  const isReady = await registry.start(fault);
  if (isReady) await workload.run();
  let reached = registry.reached().filter((point) => point === fault.point).length >= fault.nth;
  if (isReady && !(await registry.hasEnded())) await registry.isKilledAsItStops();
  try {
    expect(await registry.findings()).toEqual([]);
    for (const next of again) {
      if (await registry.start(next)) reached = (await registry.endsSoon()) && reached;
      expect(await registry.findings()).toEqual([]);
    }
    await goesOn(registry, workload);
  } catch (error) {
    throw new Error(`${String(error)}\n${registry.log().split('\n').slice(-15).join('\n')}`, { cause: error });
  }
  return reached;
}

/** Starts it again, looks whether it has all that it acknowledged, and whether nothing is left when everything is deleted. */
async function goesOn(registry: CrashingRegistry, workload: Workload): Promise<void> {
  await registry.start();
  await registry.settled();
  await workload.resume();
  await verify(registry, workload);
  await deleteEverything(registry);
  expect(await registry.leftovers()).toEqual([]);
  expect(await registry.stop()).toBe(0);
  expect(await registry.findings()).toEqual([]);
}

/** Pulls back what was acknowledged, and whatever else can be seen: where a request was cut short, before or after it. */
async function verify(registry: CrashingRegistry, { images, blobs, prunable }: Workload): Promise<void> {
  const { origin } = registry;
  for (const [name, digest] of prunable) {
    const [repo = '', tag = ''] = name.split(':');
    const { isThere, isTrashed, events } = registry.fateOf(repo, tag);
    // It went as a whole, with its event; how long it is in the trash is a matter of the hours.
    expect({ name, events, isTrashed: isThere && isTrashed }).toEqual({
      name,
      events: isThere ? 0 : 1,
      isTrashed: false,
    });
    if (isThere) expect(`${name} ${await pullWhole(origin, repo, tag)}`).toBe(`${name} ${digest}`);
    else if (isTrashed) await restored(registry, { repo, tag, digest });
  }
  for (const [name, digest] of images) {
    const [, repo = '', reference = ''] = /^(.+?)[:@](.+)$/.exec(name) ?? [];
    expect(`${name} ${await pullWhole(origin, repo, reference)}`).toBe(`${name} ${digest}`);
  }
  for (const name of blobs) {
    const [repo = '', digest = ''] = name.split('@');
    expect((await fetch(`${origin}/v2/${repo}/blobs/${digest}`, { method: 'HEAD' })).status).toBe(200);
  }
  for (const { repo, tag } of await everyTag(origin)) await pullWhole(origin, repo, tag);
}

/** What is in the trash comes back whole. */
async function restored(
  registry: CrashingRegistry,
  { repo, tag, digest }: { readonly repo: string; readonly tag: string; readonly digest: string },
): Promise<void> {
  expect((await registry.admin('POST', '/trash/restore', { target: `${repo}:${tag}` })).status).toBe(200);
  expect(await pullWhole(registry.origin, repo, tag)).toBe(digest);
}

async function deleteEverything(registry: CrashingRegistry): Promise<void> {
  const { origin } = registry;
  for (const { repo, tag } of await everyTag(origin)) {
    expect((await fetch(`${origin}/v2/${repo}/manifests/${tag}`, { method: 'DELETE' })).status).toBe(202);
  }
  for (let hour = 0; hour < hoursUntilEmpty; hour++) await registry.hourPasses();
}

async function everyTag(origin: string): Promise<readonly { repo: string; tag: string }[]> {
  const repos = await listed(`${origin}/v2/_catalog`, 'repositories');
  const tags = repos.map(async (repo) =>
    (await listed(`${origin}/v2/${repo}/tags/list`, 'tags')).map((tag) => ({ repo, tag })),
  );
  return (await Promise.all(tags)).flat();
}

async function listed(url: string, field: string): Promise<readonly string[]> {
  const answer = await fetch(url);
  // A repository that holds nothing but a blob's lease may have gone since.
  if (answer.status === 404) return [];
  const body: unknown = await answer.json();
  const list = isJsonObject(body) ? body[field] : undefined;
  return Array.isArray(list) ? list.map(String) : [];
}
