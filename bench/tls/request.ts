// A load generator: `request.ts PORT plain|tls kept|new CONNECTIONS SECONDS PATH`. Asks for PATH over and over, on
// connections that are kept or on a new one each time, and prints how many answers came in how many seconds.
import type { Socket } from 'bun';

const [portText, protocol, connecting, connectionsText, secondsText, path] = process.argv.slice(2);
const port = Number(portText);
const isTls = protocol === 'tls';
const isKept = connecting === 'kept';
const request = Buffer.from(
  `GET ${path} HTTP/1.1\r\nHost: localhost\r\n${isKept ? '' : 'Connection: close\r\n'}\r\n`,
  'latin1',
);
const startedAt = performance.now();
const endsAt = startedAt + Number(secondsText) * 1000;
let answers = 0;

/** Asks on one connection until it is closed, or the time is over. */
async function converse(): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let received = '';
  const begin = (socket: Socket): void => void socket.write(request);
  await Bun.connect({
    hostname: '127.0.0.1',
    port,
    // The bench is not about whom the client trusts, but about what the server does.
    ...(isTls ? { tls: { rejectUnauthorized: false, serverName: 'localhost' } } : {}),
    socket: {
      open: (socket) => (isTls ? undefined : begin(socket)),
      handshake: begin,
      data(socket, piece) {
        received += piece.toString('latin1');
        const head = received.indexOf('\r\n\r\n');
        const length = /content-length: (\d+)/i.exec(received)?.[1];
        if (head === -1 || received.length < head + 4 + Number(length)) return;
        if (!received.startsWith('HTTP/1.1 200')) reject(new Error(received.slice(0, 200)));
        received = '';
        answers++;
        if (isKept && performance.now() < endsAt) begin(socket);
        else socket.end();
      },
      close: () => resolve(),
      error: (_, error) => reject(error),
    },
  });
  await promise;
}

await Promise.all(
  Array.from({ length: Number(connectionsText) }, async () => {
    while (performance.now() < endsAt) await converse();
  }),
);
console.log(JSON.stringify({ answers, seconds: (performance.now() - startedAt) / 1000 }));
