import { expect, test } from 'bun:test';
import type { StormOptions } from '../../src/storm/options.ts';
import { hasPassed } from '../../src/storm/report.ts';
import { runStorm } from '../../src/storm/storm.ts';
import { ServedRegistry } from '../http/served-registry.ts';
import { relayTo, type Tamper } from './tampering-relay.ts';

const options: Omit<StormOptions, 'doors'> = {
  durationMs: 20_000,
  clients: 4,
  process: 0,
  seed: 1,
  repositories: 3,
  digests: 40,
  largeBlobs: 0,
  leaseMs: 2000,
  allowDown: false,
  failFast: true,
  deleteTags: false,
};

function doorsOf({ origin }: { readonly origin: string }): StormOptions['doors'] {
  return [{ origin, authorization: undefined }];
}

/** Puts a fault in the place of one answer in so many of those that it is about. */
function oneIn(every: number, isAbout: (request: Request, answer: Response) => boolean, fault: () => Response): Tamper {
  let seen = 0;
  return async (request, forward) => {
    const answer = await forward();
    if (!isAbout(request, answer)) return answer;
    seen += 1;
    return seen % every === 0 ? fault() : answer;
  };
}

const isPulled = (request: Request, answer: Response, what: string): boolean =>
  request.method === 'GET' && answer.status === 200 && request.url.includes(what);
const nothing = (): Response => new Response('gone', { status: 404 });

const faults: readonly [name: string, what: string, tamper: Tamper][] = [
  [
    'one push in a hundred is answered with 500',
    'answer 500',
    oneIn(
      100,
      ({ method }) => method === 'PUT',
      () => new Response('oops', { status: 500 }),
    ),
  ],
  [
    'the bytes of one blob in fifty have changed',
    'a digest is wrong',
    oneIn(
      50,
      (request, answer) => isPulled(request, answer, '/blobs/'),
      () => new Response('other bytes'),
    ),
  ],
  [
    'one blob in fifty is gone',
    'something of an image is gone',
    oneIn(50, (request, answer) => isPulled(request, answer, '/blobs/'), nothing),
  ],
  [
    'one tag in fifty is gone',
    'a tag is gone',
    oneIn(50, (request, answer) => isPulled(request, answer, '/manifests/c'), nothing),
  ],
  [
    'deletes of tags are acknowledged and not carried out',
    'a tag leads to something else',
    async ({ method, url }, forward) =>
      method === 'DELETE' && url.includes('/manifests/c') ? new Response(null, { status: 202 }) : await forward(),
  ],
  [
    'a mount that cannot be done is refused',
    'mount: 404',
    oneIn(1, ({ url }, { status }) => url.includes('mount=') && status === 202, nothing),
  ],
  [
    'a referrer is not listed',
    'a referrer is not listed',
    oneIn(
      1,
      (request, answer) => isPulled(request, answer, '/referrers/'),
      () => Response.json({ schemaVersion: 2, manifests: [] }),
    ),
  ],
  [
    'one manifest in a hundred is refused for blobs that are there',
    'PUT manifest refused for what the client has seen: 404',
    oneIn(
      100,
      ({ method, url }) => method === 'PUT' && url.includes('/manifests/'),
      () => Response.json({ errors: [{ code: 'MANIFEST_BLOB_UNKNOWN' }] }, { status: 404 }),
    ),
  ],
];

test.each(faults)('a registry does not pass where %s', async (_name, what, tamper) => {
  await using registry = await ServedRegistry.start();
  await using relay = relayTo(registry.origin, tamper);
  const report = await runStorm({ ...options, doors: doorsOf(relay) });
  expect(report.wrong.map((each) => each.what)).toContain(what);
});

test('a registry passes that does what it should', async () => {
  await using registry = await ServedRegistry.start();
  const report = await runStorm({ ...options, doors: doorsOf(registry), durationMs: 1000 });
  expect([report.wrong, report.lost]).toEqual([[], []]);
  expect(hasPassed(report)).toBe(true);
  expect(report.counts.imagesVerified).toBeGreaterThan(0);
});
