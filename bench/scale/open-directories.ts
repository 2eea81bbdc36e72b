import { statSync } from 'node:fs';
import path from 'node:path';

/** Whether everybody may pass, in a directory's mode. */
const passForAll = 0o001;

/** The uppermost of a directory and those above it that not every user may pass; undefined where all may. */
export function firstClosed(directory: string): string | undefined {
  const above = path.dirname(directory);
  const closed = above === directory ? undefined : firstClosed(above);
  if (closed !== undefined) return closed;
  return (statSync(directory).mode & passForAll) === 0 ? directory : undefined;
}
