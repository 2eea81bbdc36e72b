/** How often a server that is stopping looks whether requests are still running, in ms. */
export const drainLookMs = 10;

/**
 * Resolves once no request is running, or after `limitMs`. The runtime's own stop() waits for connections: one that has
 * sent half a request, or has kept back the body of a refused one, would hold it up for ever.
 */
export async function requestsEnded(servers: readonly Bun.Server<undefined>[], limitMs: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const limit = setTimeout(resolve, limitMs);
  const look = setInterval(() => {
    if (pendingRequestsOf(servers) === 0) resolve();
  }, drainLookMs);
  await promise;
  clearTimeout(limit);
  clearInterval(look);
}

/** How many requests are running. */
export function pendingRequestsOf(servers: readonly Bun.Server<undefined>[]): number {
  return servers.reduce((sum, server) => sum + server.pendingRequests, 0);
}
