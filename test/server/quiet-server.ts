import { createLog, type Log } from '../../src/log/log.ts';
import { type RunningServer, startServer } from '../../src/server/server.ts';
import type { Syncs } from '../../src/stores/syncs.ts';
import { configFrom } from './config-from.ts';

/** Starts a server in this process that logs nothing but errors, on a port of its own where nothing else is said. */
export async function startQuietServer(
  settings: Readonly<Record<string, string>>,
  syncs?: Syncs,
): Promise<RunningServer> {
  return await startServer({
    config: await configFrom({ listen: '127.0.0.1:0', ...settings }),
    log: await logOfErrors(),
    ...(syncs !== undefined && { syncs }),
  });
}

export async function logOfErrors(): Promise<Log> {
  return await createLog({ level: 'error', format: 'json' });
}
