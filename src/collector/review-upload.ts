import { first, change, type Operation } from '../metadata/operation.ts';
import { deleteUpload, uploadTimes } from '../metadata/queries/uploads.ts';
import { collectorActor } from '../registry/actor.ts';
import { recordEvent } from '../registry/events.ts';
import { markDropped } from '../registry/uploads/drop.ts';
import { doneSessionMs } from '../registry/uploads/open.ts';
import type { UploadSessions } from '../registry/uploads/sessions.ts';
import type { ReviewTime } from './hold.ts';
import { done, type ReviewOutcome, reviewAgainAt } from './review.ts';

/**
 * T_expire: forgets a session that has ended well some time ago, and gives up one that nobody has touched for long, with
 * its bytes. A slow writer tells now and then that it is alive (R27).
 */
export function* reviewUpload(
  id: string,
  { now, windows }: ReviewTime,
  sessions: Pick<UploadSessions, 'isWriting' | 'digestSoFar'>,
): Operation<ReviewOutcome> {
  const upload = yield* first(uploadTimes, { id });
  if (upload === undefined) return done;
  const lastsMs = upload.oid === null ? doneSessionMs : windows.uploadMs;
  const until = upload.touched_at + lastsMs;
  if (until > now) return reviewAgainAt(until);
  // Its file may be about to come into being, so nobody else may end it (R32).
  if (sessions.isWriting(id)) return reviewAgainAt(now + Math.max(1, Math.round(windows.uploadMs / 4)));
  if (upload.oid === null) {
    yield* change(deleteUpload, { id });
    return done;
  }
  const { oid, repo, epoch, incarnation, offset_bytes: bytes } = upload;
  const reason = 'nobody went on with it';
  yield* recordEvent({ at: now, kind: 'upload.expired', repo, actor: collectorActor, reason, bytes });
  const digest = sessions.digestSoFar(id, { epoch, incarnation, offsetBytes: bytes });
  yield* markDropped(id, { oid, digest }, now);
  return { ...done, reclaim: { oid, sizeBytes: bytes }, collected: { uploads: 1 } };
}
