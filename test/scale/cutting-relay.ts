import type { Socket } from 'bun';

interface Side {
  other: Socket<Side> | undefined;
  /** What has come before the other side was there. */
  readonly early: Buffer[];
  isCut: boolean;
  isSilent: boolean;
}

/**
 * What the relay does with what a client has sent: hands it on; cuts the connection off instead, or after it; or hands it on
 * as the last of all that passes in any direction, while the connection stays.
 */
export type Cut = (sent: string) => 'hand-on' | 'cut' | 'lose-answer' | 'fall-silent';

/** How long the server has for what it was sent before its client is cut off, in ms. */
const answerMs = 20;

/** Hands the connections of a PostgreSQL server on, and cuts them off, or lets nothing more pass, where it is told to. */
export class CuttingRelay implements Disposable {
  readonly #listener: Bun.TCPSocketListener<Side>;
  decide: Cut = () => 'hand-on';
  cuts = 0;

  constructor(target: number) {
    this.#listener = Bun.listen<Side>({
      hostname: '127.0.0.1',
      port: 0,
      socket: {
        open: (client) => {
          client.data = { other: undefined, early: [], isCut: false, isSilent: false };
          void this.#reach(client, target);
        },
        data: (client, bytes) => this.#take(client, bytes),
        close: (client) => void client.data.other?.end(),
        error: (client) => void client.data.other?.end(),
      },
    });
  }

  /** The address of a database through this relay. */
  addressOf(database: string): string {
    const url = new URL(database);
    url.port = String(this.#listener.port);
    return url.href;
  }

  [Symbol.dispose](): void {
    this.#listener.stop(true);
  }

  async #reach(client: Socket<Side>, target: number): Promise<void> {
    try {
      const server = await Bun.connect<Side>({
        hostname: '127.0.0.1',
        port: target,
        data: { other: client, early: [], isCut: false, isSilent: false },
        socket: {
          data: (socket, bytes) => {
            if (!client.data.isCut && !client.data.isSilent) socket.data.other?.write(bytes);
          },
          close: () => void client.end(),
          error: () => void client.end(),
        },
      });
      client.data.other = server;
      for (const bytes of client.data.early) server.write(bytes);
    } catch {
      client.end();
    }
  }

  #take(client: Socket<Side>, bytes: Buffer): void {
    const { other, early } = client.data;
    if (other === undefined) {
      early.push(Buffer.from(bytes));
      return;
    }
    if (client.data.isSilent) return;
    const decision = this.decide(bytes.toString('latin1'));
    client.data.isSilent = decision === 'fall-silent';
    if (decision === 'hand-on' || decision === 'fall-silent') {
      other.write(bytes);
      return;
    }
    this.cuts++;
    client.data.isCut = true;
    if (decision === 'lose-answer') other.write(bytes);
    setTimeout(
      () => {
        client.terminate();
        other.terminate();
      },
      decision === 'lose-answer' ? answerMs : 0,
    );
  }
}
