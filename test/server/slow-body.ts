/** A body that begins at once and ends when it is told to. */
export function slowBody(begin: Uint8Array, end: Uint8Array) {
  const going = Promise.withResolvers<void>();
  const body = new ReadableStream<Uint8Array>({
    async start(controller) {
      controller.enqueue(begin);
      await going.promise;
      controller.enqueue(end);
      controller.close();
    },
  });
  return { body, goOn: () => going.resolve() };
}
