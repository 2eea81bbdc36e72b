import { connect, type Socket } from 'node:net';
import { connect as connectSecurely } from 'node:tls';
import { authority } from '../tls/certificates/certificates.ts';

/** A client that asks for something, reads a little of it, and then nothing until it is told to. */
export class SlowReader implements Disposable {
  readonly #socket: Socket;
  readonly #host: string;
  receivedBytes = 0;
  hasEnded = false;
  #readsAll = false;

  constructor({ origin }: { readonly origin: string }, path: string, headers: Readonly<Record<string, string>> = {}) {
    const { protocol, host, port } = new URL(origin);
    this.#host = host;
    const ask = (): void => this.ask(path, headers);
    this.#socket =
      protocol === 'https:'
        ? connectSecurely({ host: '127.0.0.1', port: Number(port), servername: 'localhost', ca: authority }, ask)
        : connect(Number(port), '127.0.0.1', ask);
    this.#socket.on('data', (bytes: Buffer) => {
      this.receivedBytes += bytes.byteLength;
      if (!this.#readsAll) this.#socket.pause();
    });
    this.#socket.on('error', () => {
      this.hasEnded = true;
    });
    this.#socket.on('close', () => {
      this.hasEnded = true;
    });
  }

  ask(path: string, headers: Readonly<Record<string, string>> = {}): void {
    const lines = Object.entries({ host: this.#host, ...headers }).map(([name, value]) => `${name}: ${value}\r\n`);
    this.#socket.write(`GET ${path} HTTP/1.1\r\n${lines.join('')}\r\n`);
  }

  readAll(): void {
    this.#readsAll = true;
    this.#socket.resume();
  }

  [Symbol.dispose](): void {
    this.#socket.destroy();
  }
}
