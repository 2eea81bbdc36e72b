import path from 'node:path';
import type { Launch, LaunchSite, PeerAdapter } from './adapter.ts';

/** CNCF Distribution, version 3, on its file system driver with the in-memory descriptor cache of its sample file. */
export const distribution: PeerAdapter = {
  name: 'distribution',
  program: 'registry',
  async prepare(site: LaunchSite): Promise<Launch> {
    const configPath = path.join(site.configDirectory, 'distribution.yml');
    const config = {
      version: '0.1',
      log: { level: 'error', accesslog: { disabled: true } },
      storage: {
        filesystem: { rootdirectory: site.dataDirectory },
        delete: { enabled: true },
        cache: { blobdescriptor: 'inmemory' },
      },
      http: { addr: `127.0.0.1:${site.port}` },
    };
    // JSON is YAML too.
    await Bun.write(configPath, JSON.stringify(config, null, 2));
    return {
      command: [site.program, 'serve', configPath],
      // Without this it looks for a collector of traces on the local machine.
      environment: { OTEL_TRACES_EXPORTER: 'none' },
    };
  },
};
