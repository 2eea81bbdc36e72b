/** A port of this machine's on which nothing listens. */
export function freePort(): number {
  const listener = Bun.listen({ hostname: '127.0.0.1', port: 0, socket: { data: () => undefined } });
  try {
    return listener.port;
  } finally {
    listener.stop(true);
  }
}
