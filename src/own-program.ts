import { join } from 'node:path';

/** How to start this program once more: by the runtime, or as an executable that has it inside. */
export function ownProgram(): readonly string[] {
  const isExecutable = Bun.main.startsWith('/$bunfs/');
  return isExecutable ? [process.execPath] : [process.execPath, join(import.meta.dir, 'main.ts')];
}
