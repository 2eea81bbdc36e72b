import { resolve } from 'node:path';
import { z } from 'zod';
import { variableOf } from '../config/environment.ts';
import { ownProgram } from '../own-program.ts';
import { StopMoveError } from './move.ts';
import type { PlaceConfig } from './place.ts';

const countsLine = z.object({ counts: z.object({ loss: z.number(), leak: z.number(), note: z.number() }) });

/** How much of what was found is told. */
const toldLines = 20;

/**
 * Has `wherry fsck` look at the new place.
 *
 * @param configFile of which the settings are that are no places
 * @returns what it says, in words
 * @throws StopMoveError where something is lost, or it could not look
 */
export async function checkNewPlace(
  to: PlaceConfig,
  { configFile, leavesDamaged }: { readonly configFile: string | undefined; readonly leavesDamaged: boolean },
): Promise<string> {
  const child = Bun.spawn(
    [...ownProgram(), 'fsck', '--new-place', '--json', ...(configFile === undefined ? [] : ['--config', configFile])],
    {
      env: {
        ...process.env,
        [variableOf('data')]: resolve(to.data),
        [variableOf('metadata')]: to.metadata.kind === 'postgres' ? to.metadata.url : 'sqlite',
        [variableOf('blobs')]: to.blobs.kind === 's3' ? `s3://${to.blobs.bucket}/${to.blobs.prefix}` : 'directory',
      },
      stdin: 'ignore',
      stdout: 'pipe',
      stderr: 'pipe',
    },
  );
  const [out, err, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  const lines = out.trimEnd().split('\n');
  if (code !== 0 && code !== 1) {
    throw new StopMoveError(
      `the new place could not be looked at (${err.trim()}); with --no-fsck it is moved all the same`,
    );
  }
  const { counts } = countsLine.parse(JSON.parse(lines.at(-1) ?? ''));
  if (counts.loss > 0 && !leavesDamaged) {
    const told = lines.slice(0, -1).slice(0, toldLines);
    throw new StopMoveError([`wherry fsck has found ${counts.loss} losses in the new place:`, ...told].join('\n  '));
  }
  return `wherry fsck has found ${counts.loss} losses, ${counts.leak} leaks and ${counts.note} notes`;
}
