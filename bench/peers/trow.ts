import type { Launch, LaunchSite, PeerAdapter } from './adapter.ts';

/** Trow without proxied registries and without validation of images. */
export const trow: PeerAdapter = {
  name: 'trow',
  program: 'trow',
  prepare(site: LaunchSite): Promise<Launch> {
    return Promise.resolve({
      command: [site.program, '--bind', `127.0.0.1:${site.port}`, '--data-dir', site.dataDirectory],
      environment: { RUST_LOG: 'error' },
    });
  },
};
