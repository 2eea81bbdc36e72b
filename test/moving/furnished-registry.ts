import { expect } from 'bun:test';
import { z } from 'zod';
import { isWhole, pushImage, type PushedImage, pushIndex, remove } from '../admin/pushed-images.ts';
import { digestOf, freshBytes } from '../http/content.ts';
import type { ServedRegistry } from '../http/served-registry.ts';
import { copiedRow } from '../../src/moving/copy-metadata.ts';
import { type MovedDatabase, pageOf, type Row } from '../../src/moving/database.ts';
import { tablesOfSchema } from '../../src/moving/tables.ts';

/** What a registry has been given, to be found again elsewhere. */
export interface Furniture {
  readonly images: readonly { readonly repo: string; readonly reference: string; readonly image: PushedImage }[];
  /** Of which the tag was deleted, and can be restored. */
  readonly trashed: { readonly repo: string; readonly tag: string; readonly image: PushedImage };
  readonly session: { readonly location: string; readonly bytes: Uint8Array };
}

/** Gives a registry something of everything that it can have. */
export async function furnish(registry: ServedRegistry): Promise<Furniture> {
  const images: { repo: string; reference: string; image: PushedImage }[] = [];
  const shared = freshBytes(100_000);
  for (const repo of ['team/one', 'team/two']) {
    const children = [await pushImage(registry, repo, { layers: [shared] }), await pushImage(registry, repo)];
    const index = await pushIndex(registry, repo, ['multi'], ...children);
    const subject = await pushImage(registry, repo, { tags: ['1', 'latest'], layers: [freshBytes(6 * 1024 * 1024)] });
    const referrer = await pushImage(registry, repo, { subject });
    images.push(
      { repo, reference: '1', image: subject },
      { repo, reference: 'latest', image: subject },
      { repo, reference: index.digest, image: index },
      ...[...children, referrer, subject].map((image) => ({ repo, reference: image.digest, image })),
    );
  }
  const image = await pushImage(registry, 'team/one', { tags: ['gone'] });
  expect((await remove(registry, 'team/one', 'gone')).status).toBe(202);
  const purged = await registry.pushBlob('team/one', freshBytes());
  for (const [path, body] of [
    ['/pins', { target: 'team/one:1', reason: 'to keep' }],
    ['/robots', { name: 'ci', description: 'builds' }],
    ['/purge', { digests: [purged], reason: 'a secret' }],
    ['/collector/pause', { reason: 'for now' }],
  ] as const) {
    const answer = await registry.admin('POST', path, body);
    expect({ path, status: answer.status, text: await answer.text() }).toMatchObject({ path, status: 200 });
  }
  const opened = await registry.send('/v2/team/one/blobs/uploads/', { method: 'POST' });
  const session = { location: opened.headers.get('location') ?? '', bytes: freshBytes(50_000) };
  const chunk = session.bytes.subarray(0, 30_000);
  expect((await registry.send(session.location, { method: 'PATCH', body: chunk })).status).toBe(202);
  return { images, trashed: { repo: 'team/one', tag: 'gone', image }, session };
}

/** How an upload that was under way is answered when its client goes on with it. */
const statusOfSession = { 'goes on': 201, 'begins anew': 416, 'is gone': 404 } as const;

/** Sees that all of it is there, and that things can be pushed, restored and deleted. */
export async function expectFurnished(
  registry: ServedRegistry,
  furniture: Furniture,
  session: keyof typeof statusOfSession,
): Promise<void> {
  for (const { repo, reference, image } of furniture.images) {
    expect({ repo, reference, isWhole: await isWhole(registry, repo, reference, image) }).toMatchObject({
      isWhole: true,
    });
  }
  const { repo, tag, image } = furniture.trashed;
  const restored = await registry.admin('POST', '/trash/restore', { target: `${repo}:${tag}` });
  expect({ status: restored.status, text: await restored.text() }).toMatchObject({ status: 200 });
  expect(await isWhole(registry, repo, tag, image)).toBe(true);
  const { location, bytes } = furniture.session;
  const rest = bytes.subarray(30_000);
  const closed = await registry.send(`${location}?digest=${digestOf(bytes)}`, { method: 'PUT', body: rest });
  expect(closed.status).toBe(statusOfSession[session]);
  await pushImage(registry, repo, { tags: ['after'] });
  const events = z.object({ events: z.array(z.object({ id: z.number() })) });
  const page = events.parse(await (await registry.admin('GET', '/events?n=1000')).json());
  const ids = page.events.map(({ id }) => id);
  expect(new Set(ids).size).toBe(ids.length);
}

/** All rows of all tables, as they are copied. */
export async function rowsOf(database: MovedDatabase): Promise<ReadonlyMap<string, readonly Row[]>> {
  const found = new Map<string, Row[]>();
  for (const table of tablesOfSchema().copied) {
    const rows: Row[] = [];
    for (let page = await pageOf(database, table, undefined); page.length > 0;) {
      rows.push(...page.map((row) => copiedRow(table, row)));
      page = await pageOf(database, table, page.at(-1));
    }
    found.set(table.name, rows);
  }
  return found;
}
