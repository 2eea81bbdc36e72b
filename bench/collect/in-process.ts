import { type RunningServer, startServer } from '../../src/server/server.ts';
import { configFrom } from '../../test/server/config-from.ts';
import { logOfErrors } from '../../test/server/quiet-server.ts';
import { CountedMetadata } from './counted-metadata.ts';

/** A registry in this process whose collector works when it is told to, with its work counted. */
export interface CountedRegistry extends AsyncDisposable {
  readonly server: RunningServer;
  readonly metadata: CountedMetadata;
}

/** All windows are over at once, so that a delete is followed by all that it leads to. */
const noWindows = {
  'windows.lease': '0',
  'windows.trash': '0',
  'windows.condemned': '0',
  'windows.neverTagged': '0',
};

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
  const config = await configFrom({ ...noWindows, data: directory, listen, 'log.level': 'error', ...settings });
  return { config, log: await logOfErrors() };
}
