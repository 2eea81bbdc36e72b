import { connect, type Socket } from 'node:net';

const answerWithinMs = 30_000;

/** An HTTP request written by hand on a socket of its own, so that it can stall, break off or be cut anywhere. */
export class RawRequest {
  readonly #socket: Socket;
  #received = '';

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (piece) => {
      this.#received += piece.toString('latin1');
    });
    socket.on('error', () => undefined);
  }

  /** Connects to `host` (such as `127.0.0.1:5000`) and sends the head of a request. */
  static async open(
    host: string,
    method: string,
    path: string,
    headers: Readonly<Record<string, string>>,
  ): Promise<RawRequest> {
    const request = await RawRequest.connect(host);
    const lines = Object.entries({ host, ...headers }).map(([key, value]) => `${key}: ${value}\r\n`);
    await request.write(`${method} ${path} HTTP/1.1\r\n${lines.join('')}\r\n`);
    return request;
  }

  /** Connects to `host` and sends nothing yet. */
  static async connect(host: string): Promise<RawRequest> {
    const [name, port] = host.split(':');
    const socket = connect(Number(port), name);
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
    return new RawRequest(socket);
  }

  /** Sends bytes; resolves once the system has taken them. */
  async write(bytes: Uint8Array | string): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#socket.write(bytes, (error) => (error === null || error === undefined ? resolve() : reject(error)));
    });
  }

  /** Breaks the connection off. */
  destroy(): void {
    this.#socket.destroy();
  }

  /** The status of the final answer; undefined where the connection ends without one. */
  async status(): Promise<number | undefined> {
    const deadline = performance.now() + answerWithinMs;
    while (performance.now() < deadline) {
      const found = /^HTTP\/1\.1 ([2-5]\d\d)/m.exec(this.#received);
      if (found !== null) return Number(found[1]);
      if (this.#socket.destroyed || this.#socket.readableEnded) return undefined;
      await Bun.sleep(5);
    }
    throw new Error(`no answer within ${answerWithinMs} ms`);
  }
}
