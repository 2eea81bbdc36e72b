import { existsSync, mkdirSync } from 'node:fs';
import type { ClientHome } from './client-home.ts';

/** What buildah and podman keep outside of any setting: the places where they have seen blobs before. */
const fixedState = '/var/lib/containers';

/**
 * Runs buildah or podman: with its storage in the home (storage.conf says where) and, where the machine allows a mount
 * namespace, with its fixed directory in the home as well.
 */
export function containerTool(home: ClientHome, program: string): (...args: readonly string[]) => Promise<string> {
  const state = home.makeDirectory('fixed-state');
  const isolated = Bun.spawnSync(['unshare', '--mount', 'true']).exitCode === 0;
  if (isolated && !existsSync(fixedState)) mkdirSync(fixedState, { recursive: true });
  const bindAndRun = `mount --bind '${state}' ${fixedState} && exec "$0" "$@"`;
  const prefix = isolated ? ['unshare', '--mount', 'sh', '-c', bindAndRun, program] : [program];
  return async (...args) => (await home.run([...prefix, ...args])).stdout.trim();
}
