const given = new Set<number>();

/**
 * A loopback port on which nobody listens, and that this process has not been given before. It is below the range from which
 * the kernel takes clients' ports: from within the range, a client that dials while a server is down could be given that very
 * port, and end up connected to itself.
 */
export function freePort(): number {
  for (let attempt = 0; attempt < 200; attempt += 1) {
    const port = 20_000 + Math.floor(Math.random() * 12_000);
    if (given.has(port) || !isFree(port)) continue;
    given.add(port);
    return port;
  }
  throw new Error('no free port between 20000 and 32000');
}

function isFree(port: number): boolean {
  try {
    Bun.listen({ hostname: '127.0.0.1', port, socket: { data: () => undefined } }).stop(true);
    return true;
  } catch {
    return false;
  }
}
