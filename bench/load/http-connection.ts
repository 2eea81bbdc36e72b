import type { Socket } from 'bun';

/** What a load generator looks at in an answer; bodies are read to their end and dropped. */
export interface Answer {
  readonly status: number;
  /** The Location header as sent, relative or absolute. */
  readonly location: string | undefined;
}

/** A request's body and its media type. */
export interface Body {
  readonly bytes: Uint8Array;
  readonly mediaType: string;
}

interface Waiting {
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: Error) => void;
}

/** How far an answer has come: incomplete, or complete at a number of characters. */
interface Complete {
  readonly answer: Answer;
  readonly length: number;
}

/** The length of a chunked body that begins at `start`, or undefined while it is incomplete. */
function chunkedEnd(text: string, start: number): number | undefined {
  let at = start;
  for (;;) {
    const lineEnd = text.indexOf('\r\n', at);
    if (lineEnd === -1) return undefined;
    const size = Number.parseInt(text.slice(at, lineEnd), 16);
    if (Number.isNaN(size)) throw new Error('an answer with a malformed chunk');
    const next = lineEnd + 2 + size + 2;
    if (text.length < next) return undefined;
    if (size === 0) return next;
    at = next;
  }
}

/** Parses the answer at the beginning of `text` (one character a byte); undefined while it is incomplete. */
export function parseAnswer(text: string): Complete | undefined {
  const headEnd = text.indexOf('\r\n\r\n');
  if (headEnd === -1) return undefined;
  const [statusLine = '', ...headerLines] = text.slice(0, headEnd).split('\r\n');
  const status = Number(statusLine.split(' ')[1]);
  let location: string | undefined;
  let contentLength = 0;
  let isChunked = false;
  for (const line of headerLines) {
    const colon = line.indexOf(':');
    const name = line.slice(0, colon).toLowerCase();
    if (name === 'location') location = line.slice(colon + 1).trim();
    else if (name === 'content-length') contentLength = Number(line.slice(colon + 1));
    else if (name === 'transfer-encoding') isChunked = line.slice(colon + 1).includes('chunked');
  }
  const bodyStart = headEnd + 4;
  const end = isChunked ? chunkedEnd(text, bodyStart) : bodyStart + contentLength;
  if (end === undefined || text.length < end) return undefined;
  return { answer: { status, location }, length: end };
}

/**
 * One keep-alive HTTP/1.1 connection to a registry on the loopback interface, one request at a time.
 *
 * It does as little as possible, so that a load generator costs far less than the registry it loads.
 */
export class HttpConnection {
  readonly #port: number;
  #socket: Socket | undefined;
  #received = '';
  #unsent: Uint8Array | undefined;
  #waiting: Waiting | undefined;

  private constructor(port: number) {
    this.#port = port;
  }

  /** Connects; rejects if nobody listens on the port. */
  static async open(port: number): Promise<HttpConnection> {
    const connection = new HttpConnection(port);
    connection.#socket = await Bun.connect({
      hostname: '127.0.0.1',
      port,
      socket: {
        data: (_socket, chunk) => connection.#receive(chunk.toString('latin1')),
        drain: () => connection.#send(),
        close: () => connection.#fail(new Error('the registry closed the connection')),
        error: (_socket, error) => connection.#fail(error),
      },
    });
    return connection;
  }

  /**
   * Sends a request (not HEAD, whose answers have a length and no body) and waits for its whole answer.
   *
   * @param target path and query, or an absolute URL of this registry (as some write in Location)
   * @param headers further header lines, each ended by CRLF
   */
  request(method: string, target: string, body?: Body, headers = ''): Promise<Answer> {
    const pathAndQuery = target.startsWith('/') ? target : target.slice(target.indexOf('/', 'https://'.length));
    const bodyHeaders =
      body === undefined ? '' : `Content-Type: ${body.mediaType}\r\nContent-Length: ${body.bytes.length}\r\n`;
    const emptyBody = body === undefined && method !== 'GET' && method !== 'HEAD' ? 'Content-Length: 0\r\n' : '';
    const head = Buffer.from(
      `${method} ${pathAndQuery} HTTP/1.1\r\nHost: 127.0.0.1:${this.#port}\r\n${bodyHeaders}${emptyBody}${headers}\r\n`,
    );
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
      this.#unsent = body === undefined ? head : Buffer.concat([head, body.bytes]);
      this.#send();
    });
  }

  close(): void {
    this.#socket?.end();
    this.#socket = undefined;
  }

  #send(): void {
    if (this.#unsent === undefined || this.#socket === undefined) return;
    const sentBytes = Math.max(0, this.#socket.write(this.#unsent));
    this.#unsent = sentBytes < this.#unsent.length ? this.#unsent.subarray(sentBytes) : undefined;
  }

  #receive(chunk: string): void {
    this.#received = this.#received === '' ? chunk : this.#received + chunk;
    let complete: Complete | undefined;
    try {
      complete = parseAnswer(this.#received);
    } catch (error) {
      this.#fail(error instanceof Error ? error : new Error(String(error)));
      return;
    }
    if (complete === undefined) return;
    this.#received = this.#received.slice(complete.length);
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.resolve(complete.answer);
  }

  #fail(error: Error): void {
    this.#waiting?.reject(error);
    this.#waiting = undefined;
  }
}
