// Opens connections that never get anywhere, until the registry closes them. Arguments: the port of plain HTTP, that of
// TLS, the file of its authority, the Location of an upload session. Prints a line of JSON twice a second.
import { readFileSync } from 'node:fs';
import { connect as connectPlainly, type Socket } from 'node:net';
import { connect as connectOverTls } from 'node:tls';

const [plainPort, tlsPort] = process.argv.slice(2, 4).map(Number);
const [authority = '', upload = ''] = process.argv.slice(4);
const ca = readFileSync(authority, 'utf8');

/** One address has too few ports. */
const addresses = Array.from({ length: 16 }, (_, each) => `127.0.0.${each + 2}`);
const dripEveryMs = 2000;
/** How many are opened at once, and for how long it is waited between two lots, in ms. */
const lot = 100;
const betweenLotsMs = 20;

interface Kind {
  readonly count: number;
  /** What is sent at first; nothing at all where it is empty. */
  readonly head: string;
  /** What is sent every two seconds. */
  readonly drip: string;
  readonly isEncrypted: boolean;
  readonly port: number | undefined;
}

const halfHead = 'GET /v2/ HTTP/1.1\r\nHost: registry\r\nX-Slow: ';
const kinds: readonly Kind[] = [
  { count: 4000, head: halfHead, drip: 'a', isEncrypted: false, port: plainPort },
  { count: 1000, head: '', drip: '', isEncrypted: false, port: plainPort },
  {
    count: 1500,
    head: `PATCH ${upload} HTTP/1.1\r\nHost: registry\r\nContent-Length: 100000000\r\n\r\n`,
    drip: 'a',
    isEncrypted: false,
    port: plainPort,
  },
  // A client hello that does not come on: the length of a record, and a little of it.
  { count: 2500, head: '\x16\x03\x01\x40\x00', drip: '\x01', isEncrypted: false, port: tlsPort },
  { count: 1000, head: halfHead, drip: 'a', isEncrypted: true, port: tlsPort },
];

const open = new Set<Socket>();
let opened = 0;
let failed = 0;
let answered = 0;

function begin({ head, drip, isEncrypted, port = 0 }: Kind, localAddress: string): void {
  const place = { host: '127.0.0.1', port, localAddress };
  const socket = isEncrypted ? connectOverTls({ ...place, ca, servername: 'localhost' }) : connectPlainly(place);
  socket.once(isEncrypted ? 'secureConnect' : 'connect', () => {
    opened++;
    open.add(socket);
    if (head !== '') socket.write(Buffer.from(head, 'latin1'));
    if (drip === '') return;
    const dripping = setInterval(() => socket.write(Buffer.from(drip, 'latin1')), dripEveryMs);
    socket.once('close', () => clearInterval(dripping));
  });
  socket.once('data', () => answered++);
  socket.on('error', () => undefined);
  socket.once('close', () => {
    if (!open.delete(socket)) failed++;
  });
}

const all = kinds.flatMap((kind) => Array.from({ length: kind.count }, () => kind));
setInterval(() => {
  console.log(JSON.stringify({ wanted: all.length, opened, open: open.size, failed, answered }));
}, 500);
// In turns, so that none of the kinds has all of its time before the last has begun.
for (let first = 0; first < lot; first++) {
  for (let at = first; at < all.length; at += lot) {
    const kind = all[at];
    if (kind !== undefined) begin(kind, addresses[at % addresses.length] ?? '127.0.0.1');
  }
  await Bun.sleep(betweenLotsMs);
}
