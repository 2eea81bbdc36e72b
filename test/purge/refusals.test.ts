import { expect, setDefaultTimeout, test } from 'bun:test';
import { z } from 'zod';
import { pushImage } from '../admin/pushed-images.ts';
import { digestOf, freshBytes, ociManifest } from '../http/content.ts';
import { expectRefusal } from '../http/refusal.ts';
import { ServedRegistry } from '../http/served-registry.ts';
import { until } from '../server/until.ts';
import { purge, why } from './purging.ts';

setDefaultTimeout(60_000);

const repo = 'team/app';

const page = z.object({
  events: z.array(
    z.object({
      kind: z.string(),
      result: z.string(),
      repository: z.string().optional(),
      digest: z.string().optional(),
      identity: z.string().optional(),
      address: z.string().optional(),
      requestId: z.string().optional(),
      reason: z.string().optional(),
    }),
  ),
});

async function refusalsOf(registry: ServedRegistry) {
  const answer = await registry.admin('GET', '/events?kind=purge.refused&n=1000');
  return page.parse(await answer.json()).events;
}

/** They are written after the answers. */
async function untilWritten(registry: ServedRegistry, count: number): Promise<void> {
  await until('refusals are written', async () => (await refusalsOf(registry)).length >= count);
}

test('whoever pushes what was purged stands in the log of events, however it is pushed', async () => {
  await using registry = await ServedRegistry.start();
  const bytes = freshBytes(3000);
  const secret = digestOf(bytes);
  const image = await pushImage(registry, repo, { tags: ['v1'], layers: [bytes] });
  const opened = await registry.send(`/v2/${repo}/blobs/uploads/`, { method: 'POST' });
  const session = opened.headers.get('location') ?? '';
  expect((await registry.send(session, { method: 'PATCH', body: bytes })).status).toBe(202);
  const { id } = await purge(registry, { digests: [secret] });

  const refused = [
    await registry.send(`/v2/${repo}/blobs/uploads/?digest=${secret}`, { method: 'POST', body: bytes }),
    await registry.send(`/v2/new/blobs/uploads/?mount=${secret}&from=${repo}`, { method: 'POST' }),
    await registry.send(`${session}?digest=${secret}`, { method: 'PUT' }),
    await registry.putManifest(repo, 'v1', image.manifest, ociManifest),
  ];
  for (const answer of refused) await expectRefusal(answer, 403, 'DENIED');
  await untilWritten(registry, refused.length);
  const events = await refusalsOf(registry);
  expect(events.map(({ requestId }) => requestId ?? '').sort()).toEqual(
    refused.map((answer) => answer.headers.get('x-request-id') ?? '').sort(),
  );
  for (const event of events) {
    expect(event).toMatchObject({ digest: secret, result: 'refused', identity: 'anonymous', address: '127.0.0.1' });
    expect(event.reason).toBe(`purge ${id} keeps it out: ${why}`);
  }
  expect(events.map((event) => event.repository ?? '').sort()).toEqual(['new', repo, repo, repo]);
});

test('who pushes it again and again fills no disk: what is not written one by one is counted', async () => {
  await using registry = await ServedRegistry.start();
  const bytes = freshBytes();
  await purge(registry, { digests: [digestOf(bytes)] });
  for (let attempt = 0; attempt < 40; attempt++) {
    await registry.send(`/v2/${repo}/blobs/uploads/?digest=${digestOf(bytes)}`, { method: 'POST', body: bytes });
  }
  await untilWritten(registry, 10);
  expect(await refusalsOf(registry)).toHaveLength(10);
  await registry.stop();
  const [last] = registry.rows<{ reason: string }>(
    "select reason from event where kind = 'purge.refused' order by id desc",
  );
  expect(last?.reason).toBe('30 more, not written down one by one');
});
