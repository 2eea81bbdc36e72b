import { expect, test } from 'bun:test';
import type { StormOptions } from '../../src/storm/options.ts';
import { runStorm } from '../../src/storm/storm.ts';
import { ServedRegistry } from '../http/served-registry.ts';
import { relayTo } from './tampering-relay.ts';

const options: Omit<StormOptions, 'doors'> = {
  durationMs: 1500,
  clients: 4,
  process: 0,
  seed: 3,
  repositories: 2,
  digests: 40,
  largeBlobs: 0,
  leaseMs: 60_000,
  allowDown: false,
  failFast: false,
  deleteTags: false,
};

interface Met {
  readonly door: number;
  readonly session: string;
}

/** So many ways to one registry, which note the requests of each upload, and do to its Location what they are told. */
function doorsTo(registry: ServedRegistry, count: number, locationAt: (door: string, location: string) => string) {
  const met: Met[] = [];
  const seen = new Set<number>();
  const relays = Array.from({ length: count }, (_unused, door) => {
    const relay = relayTo(registry.origin, async ({ url }, forward) => {
      seen.add(door);
      const answer = await forward();
      const location = answer.headers.get('location');
      const session = sessionIn(url) ?? sessionIn(location ?? '');
      if (session !== undefined) met.push({ door, session });
      if (location === null) return answer;
      const headers = new Headers(answer.headers);
      headers.set('location', locationAt(relay.origin, location));
      return new Response(answer.body, { status: answer.status, headers });
    });
    return relay;
  });
  return { met, seen, relays, doors: relays.map(({ origin }) => ({ origin, authorization: undefined })) };
}

function sessionIn(url: string): string | undefined {
  return /\/blobs\/uploads\/([^/?]+)/.exec(url)?.[1];
}

test.each<[string, (door: string, location: string) => string]>([
  ['relative', (_door, location) => location],
  ['absolute', (door, location) => new URL(location, door).href],
])(
  'each request of an upload goes through another door than the one before, where its Location is %s',
  async (_, locationAt) => {
    await using registry = await ServedRegistry.start();
    const { met, seen, relays, doors } = doorsTo(registry, 3, locationAt);
    const report = await runStorm({ ...options, doors });
    await Promise.all(relays.map((relay) => relay[Symbol.asyncDispose]()));
    expect([report.wrong, report.lost]).toEqual([[], []]);
    expect(seen.size).toBe(3);
    const sessions = Map.groupBy(met, ({ session }) => session);
    const ways = [...sessions.values()].map((requests) => requests.map(({ door }) => door));
    expect(ways.filter((way) => way.length > 2).length).toBeGreaterThan(10);
    expect(ways.filter((way) => way.some((door, index) => door === way[index + 1]))).toEqual([]);
  },
);

test('what has found nobody at one door goes on through another', async () => {
  await using registry = await ServedRegistry.start();
  const { relays, doors } = doorsTo(registry, 2, (_door, location) => location);
  const [first, second] = relays;
  await first?.[Symbol.asyncDispose]();
  const report = await runStorm({ ...options, doors, allowDown: true });
  await second?.[Symbol.asyncDispose]();
  expect([report.wrong, report.lost]).toEqual([[], []]);
  expect(report.unanswered.length).toBeGreaterThan(0);
  expect(report.counts.pushesAcknowledged).toBeGreaterThan(10);
  expect(report.counts.imagesVerified).toBeGreaterThan(0);
});
