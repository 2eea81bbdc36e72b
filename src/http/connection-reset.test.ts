import { expect, test } from 'bun:test';
import { connect, createServer, type Socket } from 'node:net';
import { ConnectionResetter } from './connection-reset.ts';

/** Two connections to a server of this process, from its side and from that of their clients. */
async function connected(host: string) {
  const accepted: Socket[] = [];
  const both = Promise.withResolvers<void>();
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    accepted.push(socket);
    if (accepted.length === 2) both.resolve();
  });
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the server has no port');
  const clients = [0, 1].map(() => connect(address.port, host));
  await both.promise;
  return { server, localPort: address.port, accepted, clients };
}

test.each(['127.0.0.1', '::1'])('a connection of %s is reset at once, and no other', async (host) => {
  const { server, localPort, accepted, clients } = await connected(host);
  const codes = clients.map(async (client) => {
    const ended = Promise.withResolvers<string>();
    client.on('error', (error: Error & { code?: string }) => {
      ended.resolve(error.code ?? '');
    });
    client.on('data', (bytes) => {
      ended.resolve(bytes.toString());
    });
    return await ended.promise;
  });
  try {
    const [first, second] = accepted;
    const resetter = new ConnectionResetter();
    const ends = { localPort, address: first?.remoteAddress ?? '', port: first?.remotePort ?? 0 };
    expect(resetter.reset({ ...ends, address: '192.0.2.1' })).toBe(false);
    expect(resetter.reset({ ...ends, localPort: localPort - 1 })).toBe(false);
    expect(resetter.reset(ends)).toBe(true);
    second?.write('still here');
    expect((await Promise.all(codes)).toSorted((a, b) => a.localeCompare(b))).toEqual(['ECONNRESET', 'still here']);
    expect(resetter.reset(ends)).toBe(false);
  } finally {
    for (const each of [...accepted, ...clients]) each.destroy();
    server.close();
  }
});
