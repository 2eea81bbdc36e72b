// A registry, run as a process of its own, whose collector is paused until SIGUSR2 and pauses again at SIGUSR1.
// usage: steered-server.ts DATA HOST:PORT
import { startServer } from '../../src/server/server.ts';
import { quietServer } from './in-process.ts';

const [directory = '', listen = ''] = process.argv.slice(2);
const server = await startServer(await quietServer(directory, listen));
server.collector.pause();
process.on('SIGUSR1', () => server.collector.pause());
process.on('SIGUSR2', () => server.collector.resume());
process.on('SIGTERM', () => {
  void server.stop().then(() => process.exit(0));
});
