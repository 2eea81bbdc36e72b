import { connect } from 'node:net';

/** What came back for the bytes that were sent on a connection. */
export interface Exchange {
  /** All of it, a byte a character. */
  readonly received: string;
  /** Whether the connection ended, or the first answer came whole, in time. */
  readonly isOver: boolean;
}

export interface Where {
  readonly port: number;
  /** The loopback address to come from. */
  readonly from: string;
  readonly withinMs: number;
}

/** Sends bytes on a connection of their own, and takes what comes until the first answer is whole or the other side ends. */
export async function exchange(bytes: Uint8Array, { port, from, withinMs }: Where): Promise<Exchange> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const isHead = Buffer.from(bytes.subarray(0, 5)).toString('latin1') === 'HEAD ';
  let received = '';
  const socket = connect({ port, host: '127.0.0.1', localAddress: from });
  const limit = setTimeout(() => resolve(false), withinMs);
  socket.on('data', (piece) => {
    received += piece.toString('latin1');
    if (isWhole(received, isHead)) resolve(true);
  });
  for (const over of ['end', 'error', 'close']) socket.on(over, () => resolve(true));
  socket.write(bytes);
  const isOver = await promise;
  clearTimeout(limit);
  socket.destroy();
  return { received, isOver };
}

/** Whether a first answer is there to its end, as its head says. */
function isWhole(received: string, isHead: boolean): boolean {
  const headEnd = received.indexOf('\r\n\r\n');
  if (headEnd === -1) return false;
  const head = received.slice(0, headEnd);
  const status = statusesOf(received)[0] ?? 0;
  // An answer of one digit less than 200 goes before the real one.
  if (status < 200) return isWhole(received.slice(headEnd + 4), isHead);
  if (isHead || status === 204 || status === 304) return true;
  const length = /^content-length: *(\d+)/im.exec(head)?.[1];
  if (length !== undefined) return received.length >= headEnd + 4 + Number(length);
  return /^transfer-encoding: *chunked/im.test(head) && received.endsWith('\r\n0\r\n\r\n');
}

/** The statuses of all answers on a connection. */
export function statusesOf(received: string): number[] {
  return [...received.matchAll(/(?:^|\r?\n|\})HTTP\/1\.1 (\d{3})/g)].map(([, status = '0']) => Number(status));
}
