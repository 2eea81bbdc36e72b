// A load generator, run as a process of its own: pushes small images over keep-alive connections for some seconds.
// usage: push-images.ts PORT CONNECTIONS SECONDS NAME
import { HttpConnection } from './http-connection.ts';
import { type PushedBlob, pushImage, pushLayer } from './image.ts';
import { reportLoad } from './load-report.ts';

const [port = 0, connections = 0, seconds = 0] = process.argv.slice(2, 5).map(Number);
const name = process.argv[5] ?? 'images';

const repositories = Array.from({ length: 10 }, (_unused, index) => `bench/${name}${index}`);
const uniqueLayerBytes = 4096;

// The layer that all images share is in each repository before the clock starts.
const sharedLayers = new Map<string, PushedBlob>();
const first = await HttpConnection.open(port);
for (const repository of repositories) {
  const bytes = new TextEncoder().encode(`${name} shared layer `.repeat(300));
  sharedLayers.set(repository, await pushLayer(first, repository, bytes));
}
first.close();

const opened = await Promise.all(Array.from({ length: connections }, () => HttpConnection.open(port)));

await reportLoad(connections, seconds, async (worker, isOver) => {
  const connection = opened[worker];
  if (connection === undefined) throw new Error(`no connection for worker ${worker}`);
  let images = 0;
  while (!isOver()) {
    const repository = repositories[(worker + images) % repositories.length];
    const shared = repository === undefined ? undefined : sharedLayers.get(repository);
    if (repository === undefined || shared === undefined) throw new Error('no repository with the shared layer');
    const unique = await pushLayer(connection, repository, crypto.getRandomValues(new Uint8Array(uniqueLayerBytes)));
    await pushImage(connection, repository, `t${worker}-${images}`, [shared, unique]);
    images += 1;
  }
  connection.close();
  return images;
});
