// A load generator for machines without wrk, run as a process of its own: GETs one path over keep-alive connections.
// usage: request-manifest.ts PORT CONNECTIONS SECONDS PATH
import { HttpConnection } from './http-connection.ts';
import { manifestMediaType } from './image.ts';
import { reportLoad } from './load-report.ts';
import { expectStatus } from './push-blob.ts';

const [port = 0, connections = 0, seconds = 0] = process.argv.slice(2, 5).map(Number);
const target = process.argv[5] ?? '/v2/';
const accept = `Accept: ${manifestMediaType}\r\n`;

const opened = await Promise.all(Array.from({ length: connections }, () => HttpConnection.open(port)));

await reportLoad(connections, seconds, async (worker, isOver) => {
  const connection = opened[worker];
  if (connection === undefined) throw new Error(`no connection for worker ${worker}`);
  let requests = 0;
  while (!isOver()) {
    expectStatus(`GET ${target}`, await connection.request('GET', target, undefined, accept), 200);
    requests += 1;
  }
  connection.close();
  return requests;
});
