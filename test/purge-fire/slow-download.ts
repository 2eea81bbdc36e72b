import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';

const pauseMs = 400;
const headEnd = '\r\n\r\n';

/** What one side of a connection of this machine has in the buffers of the system, in bytes. */
interface Buffered {
  /** Sent by this side, and not yet taken by the other. */
  readonly sentBytes: number;
  /** Arrived, and not yet read. */
  readonly arrivedBytes: number;
}

/** So often the buffers are read until nothing moves from one to the other any more. */
const mostReadings = 50;

/** The buffers of the TCP connections of some ports over IPv4, by `local port>remote port`, while nobody reads. */
export function bufferedByConnection(ports: ReadonlySet<number>): ReadonlyMap<string, Buffered> {
  let found = readBuffers(ports);
  for (let reading = 1; reading < mostReadings; reading += 1) {
    const again = readBuffers(ports);
    if (Bun.deepEquals(found, again)) return again;
    found = again;
  }
  return found;
}

function readBuffers(ports: ReadonlySet<number>): ReadonlyMap<string, Buffered> {
  const found = new Map<string, Buffered>();
  for (const line of readFileSync('/proc/net/tcp', 'utf8').split('\n').slice(1)) {
    const [, local = '', remote = '', , queues = ''] = line.trim().split(/\s+/);
    const port = (address: string): number => parseInt(address.split(':')[1] ?? '', 16);
    const [sent = '', arrived = ''] = queues.split(':');
    const buffered = { sentBytes: parseInt(sent, 16), arrivedBytes: parseInt(arrived, 16) };
    if (ports.has(port(local)) || ports.has(port(remote))) found.set(`${port(local)}>${port(remote)}`, buffered);
  }
  return found;
}

/** A client that asks for a blob, reads a piece of it now and then, and compares it with what it should be. */
export class SlowDownload implements Disposable {
  readonly #socket: Socket;
  readonly #port: number;
  readonly #content: Uint8Array;
  #head = '';
  #readsAll = false;
  #pause: ReturnType<typeof setTimeout> | undefined;
  receivedBytes = 0;
  /** Bytes that are not those of the blob. */
  hasOtherBytes = false;
  hasEnded = false;

  constructor(port: number, path: string, content: Uint8Array) {
    this.#port = port;
    this.#content = content;
    this.#socket = connect(port, '127.0.0.1', () => {
      this.#socket.write(`GET ${path} HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\n\r\n`);
    });
    this.#socket.on('data', (bytes: Buffer) => this.#take(bytes));
    this.#socket.on('error', () => {
      this.hasEnded = true;
    });
    this.#socket.on('close', () => {
      this.hasEnded = true;
    });
  }

  /** Reads on without a pause, until the connection ends. */
  readAll(): void {
    this.#readsAll = true;
    clearTimeout(this.#pause);
    this.#socket.resume();
  }

  /** The port of its own side. */
  get localPort(): number {
    return this.#socket.localPort ?? 0;
  }

  /** Whether the system still has its connection: one that was reset is gone. */
  isConnected(buffered: ReadonlyMap<string, Buffered>): boolean {
    return buffered.has(`${this.localPort}>${this.#port}`);
  }

  /** How many bytes it may still get that have left the server already, at most. */
  onTheWay(buffered: ReadonlyMap<string, Buffered>): number {
    const here = this.localPort;
    const sent = buffered.get(`${this.#port}>${here}`)?.sentBytes ?? 0;
    const arrived = buffered.get(`${here}>${this.#port}`)?.arrivedBytes ?? 0;
    return sent + arrived + this.#socket.readableLength;
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#pause);
    this.#socket.destroy();
  }

  #take(bytes: Buffer): void {
    this.#takeBody(this.#bodyOf(bytes));
    if (this.#readsAll) return;
    this.#socket.pause();
    this.#pause = setTimeout(() => this.#socket.resume(), pauseMs);
  }

  #bodyOf(bytes: Buffer): Buffer {
    if (this.#head.endsWith(headEnd)) return bytes;
    const before = this.#head.length;
    const text = this.#head + bytes.toString('latin1');
    const end = text.indexOf(headEnd);
    this.#head = end === -1 ? text : text.slice(0, end + headEnd.length);
    return end === -1 ? bytes.subarray(bytes.length) : bytes.subarray(this.#head.length - before);
  }

  #takeBody(bytes: Buffer): void {
    const wanted = this.#content.subarray(this.receivedBytes, this.receivedBytes + bytes.length);
    if (!bytes.equals(wanted)) this.hasOtherBytes = true;
    this.receivedBytes += bytes.length;
  }
}
