import { expect } from 'bun:test';
import { testedBucket } from '../pairs/pair.ts';
import { digestOf } from './content.ts';
import type { ServedRegistry } from './served-registry.ts';

/** Where the tests of uploads push to. */
export const repo = 'team/app';

/** Opens a session. @returns its location */
export async function openSession(registry: ServedRegistry, query = ''): Promise<string> {
  const answer = await registry.send(`/v2/${repo}/blobs/uploads/${query}`, { method: 'POST' });
  expect(answer.status).toBe(202);
  expect(answer.headers.get('range')).toBe('0-0');
  return sessionOf(answer);
}

/** The session's location that an answer tells. */
export function sessionOf(answer: Response): string {
  const location = answer.headers.get('location') ?? '';
  expect(location).toMatch(/^\/v2\/team\/app\/blobs\/uploads\/[^/]+$/);
  expect(location).toEndWith(`/${answer.headers.get('docker-upload-uuid')}`);
  return location;
}

/** Sends a chunk; a stream goes without a Content-Length. */
export async function patchChunk(
  registry: ServedRegistry,
  session: string,
  body: Uint8Array | ReadableStream<Uint8Array>,
  contentRange?: string,
): Promise<Response> {
  return await registry.send(session, { method: 'PATCH', body, headers: rangeHeaders(contentRange) });
}

/** Closes a session, with or without a last chunk. */
export async function closeSession(
  registry: ServedRegistry,
  session: string,
  digest: string,
  body: Uint8Array | ReadableStream<Uint8Array> | null = null,
  contentRange?: string,
): Promise<Response> {
  return await registry.send(`${session}?digest=${digest}`, {
    method: 'PUT',
    body,
    headers: rangeHeaders(contentRange),
  });
}

/**
 * Tells whether a request is at work at a session that came after this was asked for. Where blobs are in a bucket, their
 * first bytes are kept in memory for a while; elsewhere some of the request's must be there.
 */
export function beingWritten(registry: ServedRegistry, session: string): () => Promise<boolean> {
  const id = session.slice(session.lastIndexOf('/') + 1);
  const row = () => registry.rows<{ oid: string; epoch: number }>('select oid, epoch from upload where id = ?', id)[0];
  const before = row();
  return async () => {
    const now = row();
    if (now === undefined || now.epoch === before?.epoch) return false;
    return testedBucket !== undefined || (await registry.objects.sizeBytes(now.oid).catch(() => 0)) > 0;
  };
}

/** Status and Range of an open session, such as `204 0-99`. */
export async function statusOf(registry: ServedRegistry, session: string): Promise<string> {
  const answer = await registry.send(session);
  return `${answer.status} ${answer.headers.get('range')}`;
}

/** Expects that a push was answered as it must be, and that the blob can be pulled from then on. */
export async function expectPushed(
  registry: ServedRegistry,
  answer: Response,
  bytes: Uint8Array,
  digest = digestOf(bytes),
): Promise<void> {
  expect(`${answer.status} ${await answer.text()}`).toBe('201 ');
  expect(answer.headers.get('docker-content-digest')).toBe(digest);
  expect(answer.headers.get('location')).toBe(`/v2/${repo}/blobs/${digest}`);
  const pulled = await registry.send(`/v2/${repo}/blobs/${digest}`);
  expect(pulled.status).toBe(200);
  expect(await pulled.bytes()).toEqual(bytes);
}

/** The bytes as a stream of pieces, of which nobody knows the length beforehand. */
export function streamOf(bytes: Uint8Array, pieceBytes = 7000): ReadableStream<Uint8Array> {
  let at = 0;
  return new ReadableStream({
    pull(controller) {
      if (at >= bytes.byteLength) {
        controller.close();
        return;
      }
      controller.enqueue(bytes.slice(at, at + pieceBytes));
      at += pieceBytes;
    },
  });
}

function rangeHeaders(contentRange: string | undefined): Record<string, string> {
  return contentRange === undefined ? {} : { 'content-range': contentRange };
}
