import { loadConfig } from '../../src/config/load.ts';
import type { Config } from '../../src/config/schema.ts';

/** What a server is configured to by these settings alone, by name, as an operator would write them: `{ 'windows.lease': '1h' }`. */
export async function configFrom(settings: Readonly<Record<string, string>>): Promise<Config> {
  const flags = new Map(Object.entries(settings));
  const loaded = await loadConfig({ flags, env: {}, readFile: () => '' });
  if (!loaded.ok) throw new Error(loaded.problems.join('\n'));
  return loaded.config;
}
