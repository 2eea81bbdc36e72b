// A load generator, run as a process of its own: pushes small images and pulls them, so many a second whatever the
// answers take, and prints how long each took. A request that has to wait for its connection waits on the clock.
// usage: steady.ts PORT SECONDS PUSHES_A_SECOND PULLS_A_SECOND NAME
import { HttpConnection } from './http-connection.ts';
import { pushImage, pushLayer } from './image.ts';
import { expectStatus } from './push-blob.ts';
import type { SteadyReport } from './steady-report.ts';

const [port = 0, seconds = 0, pushesASecond = 0, pullsASecond = 0] = process.argv.slice(2, 6).map(Number);
const name = process.argv[6] ?? 'steady';
const repository = 'bench/steady';
const layerBytes = 4096;
const pulledImages = 20;
const lanes = 8;
/** The first requests of a process are slow wherever they go. */
const warmUpMs = 1000;

const connections = await Promise.all(Array.from({ length: 2 * lanes }, () => HttpConnection.open(port)));
const pushing = connections.slice(0, lanes);
const pulling = connections.slice(lanes);
let pushed = 0;

async function push(connection: HttpConnection): Promise<void> {
  pushed += 1;
  const tag = `${name}-${pushed}`;
  const layer = await pushLayer(connection, repository, crypto.getRandomValues(new Uint8Array(layerBytes)));
  await pushImage(connection, repository, tag, [layer]);
}

for (const connection of pushing) for (let count = 0; count * lanes < pulledImages; count += 1) await push(connection);

async function pull(connection: HttpConnection): Promise<void> {
  const path = `/v2/${repository}/manifests/${name}-${1 + Math.floor(Math.random() * pulledImages)}`;
  expectStatus('pulling a manifest', await connection.request('GET', path), 200);
}

/** Begins the operation so many times a second, on whichever connection is free; gives how long each took. */
async function steadily(
  operation: (connection: HttpConnection) => Promise<void>,
  free: HttpConnection[],
  perSecond: number,
): Promise<number[]> {
  const startedAt = performance.now();
  const tookMs: number[] = [];
  const count = Math.floor((warmUpMs / 1000 + seconds) * perSecond);
  let begun = 0;
  const lane = async (connection: HttpConnection): Promise<void> => {
    while (begun < count) {
      const dueAt = startedAt + (begun / perSecond) * 1000;
      begun += 1;
      const waitMs = dueAt - performance.now();
      if (waitMs > 0) await Bun.sleep(waitMs);
      const beganAt = waitMs > 0 ? performance.now() : dueAt;
      await operation(connection);
      if (dueAt - startedAt > warmUpMs) tookMs.push(performance.now() - beganAt);
    }
  };
  await Promise.all(free.map(lane));
  return tookMs;
}

const [pushesMs, pullsMs] = await Promise.all([
  steadily(push, pushing, pushesASecond),
  steadily(pull, pulling, pullsASecond),
]);
for (const connection of connections) connection.close();
const report: SteadyReport = { pushesMs, pullsMs };
console.log(JSON.stringify(report));
