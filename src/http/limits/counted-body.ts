/** A body as it comes, with `onReceived` told of each piece of it; the body itself where nobody wants to know. */
export function countedBody(
  body: ReadableStream<Uint8Array> | null,
  onReceived: ((bytes: number) => void) | undefined,
): ReadableStream<Uint8Array> | null {
  if (body === null || onReceived === undefined) return body;
  return body.pipeThrough(
    new TransformStream<Uint8Array, Uint8Array>({
      transform(piece, controller) {
        onReceived(piece.byteLength);
        controller.enqueue(piece);
      },
    }),
  );
}
