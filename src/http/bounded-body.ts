/** The connection ended before the whole of a body had come. */
export class BodyCutError extends Error {
  override readonly name = 'BodyCutError';
}

/**
 * A request's body in memory, undefined where it is larger than `maxBytes`; then no more of it is read than that.
 * @throws BodyCutError where the client goes away
 */
export async function readBounded(request: Request, maxBytes: number): Promise<Uint8Array | undefined> {
  const announced = Number(request.headers.get('content-length') ?? '0');
  if (announced > maxBytes) return undefined;
  if (request.body === null) return new Uint8Array();
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  const body: ReadableStream<Uint8Array> = request.body;
  try {
    for await (const chunk of body) {
      sizeBytes += chunk.byteLength;
      if (sizeBytes > maxBytes) return undefined;
      chunks.push(chunk);
    }
  } catch (cause) {
    throw new BodyCutError('the connection ended before the whole of the body had come', { cause });
  }
  const [only] = chunks;
  return chunks.length === 1 && only !== undefined ? only : Buffer.concat(chunks, sizeBytes);
}
