import { connect, createServer, type Server, type Socket } from 'node:net';

/**
 * Stands between a client and the registry and counts the bytes that the client sends: whether a layer went up once
 * more can be seen here, whatever the client says of it.
 */
export class ByteCountingRelay implements AsyncDisposable {
  /** How many bytes clients have sent so far. */
  sentBytes = 0;
  readonly #server: Server;

  private constructor(targetPort: number) {
    this.#server = createServer((client) => {
      const upstream = connect(targetPort, '127.0.0.1');
      client.on('data', (piece) => {
        this.sentBytes += piece.length;
      });
      pass(client, upstream);
      pass(upstream, client);
    });
  }

  /** Listens on a port of its own and passes everything on to `targetHost` on this machine. */
  static async start(targetHost: string): Promise<ByteCountingRelay> {
    const relay = new ByteCountingRelay(Number(targetHost.split(':').at(-1)));
    await new Promise<void>((resolve) => {
      relay.#server.listen(0, '127.0.0.1', resolve);
    });
    return relay;
  }

  get host(): string {
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('the relay does not listen');
    return `127.0.0.1:${address.port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
  }
}

function pass(from: Socket, to: Socket): void {
  from.pipe(to);
  from.on('error', () => to.destroy());
}
