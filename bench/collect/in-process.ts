import { loadConfig } from '../../src/config/load.ts';
import { createLog } from '../../src/log/log.ts';
import { type RunningServer, startServer } from '../../src/server/server.ts';
import { CountedMetadata } from './counted-metadata.ts';

/** A registry in this process whose collector works when it is told to, with its work counted. */
export interface CountedRegistry extends AsyncDisposable {
  readonly server: RunningServer;
  readonly metadata: CountedMetadata;
}

/** All windows are over at once, so that a delete is followed by all that it leads to. */
const noWindows = { lease: '0', trash: '0', condemned: '0', neverTagged: '0' };

/** Serves a data directory on a port of its own. @param settings what is not as usual, such as where the metadata is */
export async function serveCounted(
  directory: string,
  settings: Readonly<Record<string, string>> = {},
): Promise<CountedRegistry> {
  let metadata: CountedMetadata | undefined;
  const server = await startServer({
    // What is measured is the work, not the rest that it takes beside requests.
    ...(await quietServer(directory, '127.0.0.1:0', { 'collector.share': '100', ...settings })),
    wrapMetadata(inner) {
      metadata = new CountedMetadata(inner);
      return metadata;
    },
  });
  server.collector.pause();
  if (metadata === undefined) throw new Error('the registry has opened no metadata');
  return {
    server,
    metadata,
    async [Symbol.asyncDispose]() {
      await server.stop();
    },
  };
}

/** What a server is started with that logs nothing but errors. */
export async function quietServer(directory: string, listen: string, settings: Readonly<Record<string, string>> = {}) {
  const windows = Object.entries(noWindows).map(([name, value]): [string, string] => [`windows.${name}`, value]);
  const flags = new Map([
    ...windows,
    ['data', directory],
    ['listen', listen],
    ['log.level', 'error'],
    ...Object.entries(settings),
  ]);
  const loaded = await loadConfig({ flags, env: {}, readFile: () => '' });
  if (!loaded.ok) throw new Error(loaded.problems.join('\n'));
  return { config: loaded.config, log: await createLog({ level: 'error', format: 'json' }) };
}
