import { z } from 'zod';
import type { Siblings } from '../siblings.ts';
import type { UploadSessions } from './sessions.ts';

const told = z.object({ id: z.string(), epoch: z.int() });
const toldOfClosing = z.object({ id: z.string() });

/**
 * Ends the requests of other processes that have claimed an upload session before `epoch` was: once this resolves, they
 * write no more. It needs `siblings.areAll`: a process that is not there any more does not write either, and one that
 * comes to the session later claims it under a greater epoch, and has this one ended. So of two that want it at once one
 * waits for the other, and never each for the other (R31).
 *
 * @throws SiblingBusyError where one may still be writing
 */
export async function endOtherWriters(siblings: Siblings, id: string, epoch: number): Promise<void> {
  await siblings.ask('upload', { id, epoch });
}

/** What is later than any epoch: for who takes the session away. */
export const afterAllEpochs = Number.MAX_SAFE_INTEGER;

/**
 * Waits for a closing PUT of another process that has all of a session's bytes and verifies them: whoever repeats it finds
 * what it has come to, instead of having it begin anew (R30). Needs `siblings.areAll`.
 *
 * @throws SiblingBusyError where that takes long
 */
export async function awaitVerification(siblings: Siblings, id: string): Promise<void> {
  await siblings.ask('closing', { id });
}

/** Ends requests here when another process goes on with their session, or has that wait for them. */
export function hearOfWriters(siblings: Siblings, sessions: UploadSessions): void {
  siblings.hear('upload', async (payload) => {
    const { id, epoch } = told.parse(payload);
    await sessions.stopBefore(id, epoch);
  });
  siblings.hear('closing', async (payload) => {
    await sessions.verified(toldOfClosing.parse(payload).id);
  });
}
