import { expect, test } from 'bun:test';
import { z } from 'zod';
import { followEvents, listEvents } from '../../src/http/admin/events.ts';
import { jsonLines } from '../../src/json-lines.ts';
import { pushImage, remove } from '../admin/pushed-images.ts';
import { ServedRegistry } from '../http/served-registry.ts';

const hour = 3_600_000;
const refusal = z.object({ errors: z.tuple([z.object({ message: z.string() })]) });

async function list(registry: ServedRegistry, query: Readonly<Record<string, string>> = {}) {
  const answer = await registry.admin('GET', `/events?${new URLSearchParams(query).toString()}`);
  expect(answer.status).toBe(200);
  return listEvents.answer.parse(await answer.json());
}

async function kinds(registry: ServedRegistry, query: Readonly<Record<string, string>>): Promise<readonly string[]> {
  return (await list(registry, query)).events.map(({ kind }) => kind);
}

test('events are listed by repository, kind, tag, digest and who', async () => {
  await using registry = await ServedRegistry.start();
  const image = await pushImage(registry, 'team/app', { tags: ['x'] });
  await pushImage(registry, 'other', { tags: ['x'] });
  await remove(registry, 'team/app', 'x');
  await registry.admin('POST', '/trash/restore', { target: 'team/app:x' });
  const blobs = ['blob.pushed', 'blob.pushed'];
  const all = [...blobs, 'manifest.pushed', 'tag.pushed', 'tag.deleted', 'tag.restored'];
  expect(await kinds(registry, { repository: 'team/*' })).toEqual(all);
  expect(await kinds(registry, { repository: 'team/app', kind: 'tag.' })).toEqual(all.slice(3));
  expect(await kinds(registry, { tag: 'x', repository: 'other' })).toEqual(['tag.pushed']);
  expect(await kinds(registry, { digest: image.digest })).toEqual(all.slice(2));
  expect(await kinds(registry, { by: 'operator' })).toEqual(['tag.restored']);
  expect(await kinds(registry, { by: '127.0.0.1', kind: 'tag.pushed' })).toEqual(['tag.pushed', 'tag.pushed']);
  expect(await kinds(registry, { by: 'user:nobody' })).toEqual([]);
});

test('events are listed by time, in both orders, page after page', async () => {
  await using registry = await ServedRegistry.start();
  for (const tag of ['a', 'b', 'c']) {
    await pushImage(registry, 'team/app', { tags: [tag] });
    registry.clock.advance(hour);
  }
  const tags = async (query: Readonly<Record<string, string>>) => {
    const found: (string | undefined)[] = [];
    for (let after: string | undefined; ;) {
      const page = await list(registry, { ...query, kind: 'tag.', n: '1', ...(after !== undefined && { after }) });
      found.push(...page.events.map(({ tag }) => tag));
      if (page.next === undefined) return found;
      after = page.next;
    }
  };
  const at = (hoursAgo: number): string => new Date(registry.clock.now() - hoursAgo * hour).toISOString();
  expect(await tags({})).toEqual(['a', 'b', 'c']);
  expect(await tags({ order: 'newest' })).toEqual(['c', 'b', 'a']);
  expect(await tags({ since: at(2) })).toEqual(['b', 'c']);
  expect(await tags({ until: at(2), order: 'newest' })).toEqual(['b', 'a']);
  expect(await tags({ since: at(2), until: at(2) })).toEqual(['b']);
});

test('a clock that was set back hides no event', async () => {
  await using registry = await ServedRegistry.start();
  await pushImage(registry, 'team/app', { tags: ['late'] });
  const late = registry.clock.now();
  registry.clock.advance(-5 * hour);
  await pushImage(registry, 'team/app', { tags: ['early'] });
  expect(await kinds(registry, { since: new Date(late).toISOString(), kind: 'tag.' })).toEqual(['tag.pushed']);
  const { events } = await list(registry, { kind: 'tag.' });
  expect(events.map(({ tag }) => tag)).toEqual(['early', 'late']);
});

test.each([
  ['repository=A', 'repository: no repository has "A" in it'],
  ['kind=%25', 'kind: is what the kind of an event begins with, such as tag. or manifest.pushed'],
  ['digest=x', 'digest: is not a digest'],
  ['tag=a/b', 'tag: is not the name of a tag'],
  ['after=x', 'after: give what the page before has named as next'],
])('what makes no sense is refused: %s', async (query, message) => {
  await using registry = await ServedRegistry.start();
  const answer = await registry.admin('GET', `/events?${query}`);
  expect(answer.status).toBe(400);
  expect(refusal.parse(await answer.json()).errors[0].message).toBe(message);
});

test('what happens is told to whoever follows, once it is committed, and only what is asked for', async () => {
  await using registry = await ServedRegistry.start();
  await pushImage(registry, 'team/app', { tags: ['before'] });
  const answer = await registry.admin('GET', '/events/follow?kind=tag.');
  const lines = followed(answer);
  expect((await lines.next()).value).toHaveProperty('heartbeat');
  await pushImage(registry, 'team/app', { tags: ['x'] });
  await remove(registry, 'team/app', 'x');
  for (const kind of ['tag.pushed', 'tag.deleted']) {
    expect((await lines.next()).value).toMatchObject({ event: { kind, tag: 'x' } });
  }
  // The server ends what follows before it waits for its requests.
  await registry.stop();
  expect((await lines.next()).done).toBe(true);
});

test('whoever follows can go on after an event that it has seen', async () => {
  await using registry = await ServedRegistry.start();
  await pushImage(registry, 'team/app', { tags: ['a', 'b'] });
  const { events } = await list(registry, { tag: 'a' });
  const lines = followed(await registry.admin('GET', `/events/follow?after=${events[0]?.id}`));
  await lines.next();
  expect((await lines.next()).value).toMatchObject({ event: { kind: 'tag.pushed', tag: 'b' } });
  await registry.stop();
});

async function* followed(answer: Response): AsyncGenerator<z.output<typeof followEvents.line>, void, undefined> {
  if (answer.body === null) throw new Error('nothing is told');
  for await (const line of jsonLines(answer.body)) yield followEvents.line.parse(line);
}
