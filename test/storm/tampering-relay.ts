/** Answers a request in the registry's place, or with what the registry answers, or with something made of that. */
export type Tamper = (request: Request, forward: () => Promise<Response>) => Promise<Response>;

/** Hands requests on to a registry, and gives its answers back with a fault in some. */
export function relayTo(origin: string, tamper: Tamper): { readonly origin: string } & AsyncDisposable {
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    async fetch(request) {
      const { pathname, search } = new URL(request.url);
      const body = request.body === null ? null : await request.arrayBuffer();
      const { method, headers } = request;
      return await tamper(request, async () => {
        const answer = await fetch(new URL(pathname + search, origin), { method, headers, body });
        const bytes = await answer.arrayBuffer();
        return new Response(method === 'HEAD' ? null : bytes, { status: answer.status, headers: answer.headers });
      });
    },
  });
  return {
    origin: server.url.origin,
    async [Symbol.asyncDispose]() {
      await server.stop(true);
    },
  };
}
