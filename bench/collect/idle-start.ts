import { join } from 'node:path';
import { freePort } from '../../test/server/free-port.ts';
import { ServerProcess } from '../../test/server/server-process.ts';

const main = join(import.meta.dir, '..', '..', 'src', 'main.ts');

/** How long it takes from the start of the process until it is ready, on a data directory whose review queue is idle. */
export async function measureStart(directory: string): Promise<number> {
  const port = freePort();
  const listen = `127.0.0.1:${port}`;
  const startedAt = performance.now();
  const server = await ServerProcess.start(port, join(directory, 'log'), {
    command: [process.execPath, main, 'serve', '--listen', listen, '--data', directory, '--log-level', 'error'],
  });
  const ms = performance.now() - startedAt;
  await server.stop();
  return ms;
}
