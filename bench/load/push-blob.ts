import type { Answer, HttpConnection } from './http-connection.ts';

/** The sha256 digest of bytes, as registries write it. */
export function digestOf(bytes: Uint8Array): string {
  return `sha256:${new Bun.CryptoHasher('sha256').update(bytes).digest('hex')}`;
}

/** Throws unless the answer has the status that the specification gives to success. */
export function expectStatus(what: string, answer: Answer, status: number): void {
  if (answer.status !== status) throw new Error(`${what}: expected status ${status}, got ${answer.status}`);
}

/** Where to PUT the bytes of an opened upload: the Location of a 202, with the digest added. */
export function closingTarget(location: string, digest: string): string {
  return `${location}${location.includes('?') ? '&' : '?'}digest=${encodeURIComponent(digest)}`;
}

/** Opens an upload and gives the Location to continue at. */
export async function openUpload(connection: HttpConnection, repository: string): Promise<string> {
  const opened = await connection.request('POST', `/v2/${repository}/blobs/uploads/`);
  expectStatus('opening an upload', opened, 202);
  if (opened.location === undefined) throw new Error('opening an upload: no Location in the answer');
  return opened.location;
}

/** Pushes a blob as most clients do, POST and then PUT with all bytes, and gives its digest. */
export async function pushBlob(connection: HttpConnection, repository: string, bytes: Uint8Array): Promise<string> {
  const digest = digestOf(bytes);
  const location = await openUpload(connection, repository);
  const closed = await connection.request('PUT', closingTarget(location, digest), {
    bytes,
    mediaType: 'application/octet-stream',
  });
  expectStatus('closing an upload', closed, 201);
  return digest;
}
