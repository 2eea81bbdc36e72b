import type { Launch, LaunchSite, PeerAdapter } from './adapter.ts';

/** olareg on its directory store; it needs no configuration file. */
export const olareg: PeerAdapter = {
  name: 'olareg',
  program: 'olareg',
  prepare(site: LaunchSite): Promise<Launch> {
    return Promise.resolve({
      command: [
        site.program,
        'serve',
        '--addr=127.0.0.1',
        `--port=${site.port}`,
        `--dir=${site.dataDirectory}`,
        '--api-delete',
        '--api-blob-delete',
        '--verbosity=error',
      ],
      environment: {},
    });
  },
};
