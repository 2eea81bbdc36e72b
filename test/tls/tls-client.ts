import { connect, type TLSSocket } from 'node:tls';
import { authority, type Pair } from './certificates/certificates.ts';

export interface ClientOptions {
  /** What the client shows. */
  readonly pair?: Pair | undefined;
  readonly session?: Buffer | undefined;
  readonly minVersion?: 'TLSv1';
  readonly maxVersion?: 'TLSv1.1' | 'TLSv1.2';
}

/** A TLS connection whose bytes a test writes and reads by itself. */
export class TlsClient implements Disposable {
  readonly socket: TLSSocket;
  #received: Buffer[] = [];
  #session: Buffer | undefined;
  error: Error | undefined;
  isClosed = false;

  private constructor(port: number, { pair, ...options }: ClientOptions) {
    this.socket = connect({ host: '127.0.0.1', port, servername: 'localhost', ca: authority, ...pair, ...options });
    this.socket.on('error', (error) => (this.error ??= error));
    this.socket.on('close', () => (this.isClosed = true));
    this.socket.on('session', (session) => (this.#session = session));
  }

  /** Resolves once the handshake is done, or has failed. */
  static async connect(port: number, options: ClientOptions = {}): Promise<TlsClient> {
    const client = new TlsClient(port, options);
    await new Promise<void>((resolve) => {
      client.socket.once('secureConnect', resolve);
      client.socket.once('close', () => resolve());
    });
    return client;
  }

  /** The common name of the certificate that the server has shown. */
  get serverName(): string {
    const { subject } = this.socket.getPeerCertificate();
    return String(subject.CN);
  }

  /** What a later connection can be resumed with; undefined until the server has sent it. */
  get session(): Buffer | undefined {
    return this.#session;
  }

  /** Begins to collect what comes. */
  receive(): void {
    this.socket.on('data', (piece: Buffer) => void this.#received.push(piece));
  }

  get received(): Buffer {
    return Buffer.concat(this.#received);
  }

  write(text: string): void {
    this.socket.write(text);
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }
}

/** Asks for something with a certificate, or without one. */
export async function ask(url: string, pair?: Pair, init: RequestInit = {}): Promise<Response> {
  return await fetch(url, { ...init, keepalive: false, tls: { ca: authority, ...pair } });
}
