import path from 'node:path';
import type { Launch, LaunchSite, PeerAdapter } from './adapter.ts';

/** zot on local storage without extensions; its `commit` setting (sync before answering) stays off, as it ships. */
export const zot: PeerAdapter = {
  name: 'zot',
  program: 'zot',
  async prepare(site: LaunchSite): Promise<Launch> {
    const configPath = path.join(site.configDirectory, 'zot.json');
    const config = {
      distSpecVersion: '1.1.1',
      storage: { rootDirectory: site.dataDirectory },
      http: { address: '127.0.0.1', port: String(site.port) },
      log: { level: 'error' },
    };
    await Bun.write(configPath, JSON.stringify(config, null, 2));
    return { command: [site.program, 'serve', configPath], environment: {} };
  },
};
