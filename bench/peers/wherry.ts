import { fileURLToPath } from 'node:url';
import type { Launch, LaunchSite, PeerAdapter } from './adapter.ts';

const mainPath = fileURLToPath(new URL('../../src/main.ts', import.meta.url));

const serve = (site: LaunchSite): readonly string[] => [
  'serve',
  '--listen',
  `127.0.0.1:${site.port}`,
  '--data',
  site.dataDirectory,
];

/** This registry from its sources, run by the runtime that runs the bench; durable acknowledgements are its default. */
export const wherry: PeerAdapter = {
  name: 'wherry',
  program: process.execPath,
  prepare(site: LaunchSite): Promise<Launch> {
    return Promise.resolve({
      command: [site.program, mainPath, ...serve(site)],
      environment: { WHERRY_LOG_LEVEL: 'error' },
    });
  },
};

/** This registry as the single-file executable that `npm run build` makes, or another version of it: only when named. */
export const wherryExecutable: PeerAdapter = {
  name: 'wherry-executable',
  program: 'wherry',
  prepare(site: LaunchSite): Promise<Launch> {
    return Promise.resolve({
      command: [site.program, ...serve(site)],
      environment: { WHERRY_LOG_LEVEL: 'error' },
    });
  },
};
