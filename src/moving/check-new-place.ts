import { jsonLines } from '../json-lines.ts';
import { FindingCounts } from '../fsck/finding-counts.ts';
import { lookLine } from '../fsck/look-lines.ts';
import type { LookRequest } from '../fsck/look-request.ts';
import { ownProgram } from '../own-program.ts';
import { placesOf } from '../stores/checked-places.ts';
import { StopMoveError, type Teller } from './move.ts';
import type { PlaceConfig } from './place.ts';

/** How much of what was found is told. */
const toldFindings = 20;

/**
 * Has a process of its own look at the new place, as `wherry fsck` does. It is told where by its input: what is around it,
 * such as its environment, says where the registry was.
 *
 * @returns what it says, in words
 * @throws StopMoveError where something is lost, or it could not look
 */
export async function checkNewPlace(
  to: PlaceConfig,
  { leavesDamaged, tell }: { readonly leavesDamaged: boolean; readonly tell: Teller },
): Promise<string> {
  const request: LookRequest = { ...placesOf(to), now: undefined, rehash: undefined };
  const child = Bun.spawn([...ownProgram(), 'fsck', '--look-for-server'], {
    stdin: Buffer.from(`${JSON.stringify(request)}\n`),
    stdout: 'pipe',
    stderr: 'pipe',
    // The credentials of a bucket are there, if anywhere.
    env: process.env,
  });
  const said = child.stderr.text();
  const counting = new FindingCounts();
  const told: string[] = [];
  let whyNot: string | undefined;
  for await (const given of jsonLines(child.stdout)) {
    const line = lookLine.parse(given);
    if ('progress' in line) tell.show(line.progress);
    else if ('cannotCheck' in line) whyNot = line.cannotCheck;
    else {
      const { code, severity, about, message } = line.finding;
      counting.add({ ...line.finding, isRepaired: false });
      if (told.length < toldFindings) told.push(`${severity} ${code} ${about}: ${message}`);
    }
  }
  if ((await child.exited) !== 0) whyNot ??= (await said).trim();
  if (whyNot !== undefined) {
    throw new StopMoveError(
      `the new place could not be looked at (${whyNot}); with --no-fsck it is moved all the same`,
    );
  }
  const { loss, leak, note } = counting.counts;
  if (loss > 0 && !leavesDamaged) {
    throw new StopMoveError([`wherry fsck has found ${loss} losses in the new place:`, ...told].join('\n  '));
  }
  return `wherry fsck has found ${loss} losses, ${leak} leaks and ${note} notes`;
}
