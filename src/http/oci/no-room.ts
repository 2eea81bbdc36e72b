import { bytesText } from '../../bytes-text.ts';
import type { NoRoom } from '../../registry/room.ts';
import type { Problem } from '../errors.ts';

/** How soon it is worth trying again where room is being made, in seconds. */
const retryAfterSeconds = '10';

/** What whoever wants to upload something is told where there is no room for it. */
export function noRoomProblem({ freeBytes, reserveBytes, isBeingMade }: NoRoom, announcedBytes?: number): Problem {
  const wanted = announcedBytes === undefined ? '' : ` and the upload has ${bytesText(announcedBytes)}`;
  const what = `the registry's disk has ${bytesText(freeBytes)} free, ${bytesText(reserveBytes)} are kept in reserve${wanted}, so no upload is begun`;
  const advice = isBeingMade
    ? 'room is being made, try again'
    : 'delete images and empty the trash, or make the disk larger, then try again';
  return {
    code: 'STORAGE_FULL',
    message: `${what}: ${advice}`,
    detail: { freeBytes, reserveBytes, ...(announcedBytes !== undefined && { announcedBytes }) },
    ...(isBeingMade && { headers: { 'retry-after': retryAfterSeconds } }),
  };
}
