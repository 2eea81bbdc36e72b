import { z } from 'zod';

/** Why no room can be made though it is needed. */
export const stuckReasons = [
  /** All blobs together take less than what is missing. */
  'others-fill-the-disk',
  'collector-paused',
  /** Nothing is left that may go. */
  'nothing-left',
] as const;
export type Stuck = (typeof stuckReasons)[number];

const made = z.object({
  trashedManifests: z.number(),
  trashedTags: z.number(),
  prunedTags: z.number(),
  /** Under no tag. */
  prunedManifests: z.number(),
  /** What has left the trash frees, roughly. */
  bytes: z.number(),
});
/** What has been done since the bound was passed. */
export type Made = Readonly<z.infer<typeof made>>;

export const nothingMade: Made = { trashedManifests: 0, trashedTags: 0, prunedTags: 0, prunedManifests: 0, bytes: 0 };

const roomState = z.object({
  /** The bounds that this was seen by, as they were set; undefined where nothing was seen yet. */
  bounds: z.string().optional(),
  /** Since when, in ms since 1970; undefined where it is not. */
  overHighSince: z.number().optional(),
  underReserveSince: z.number().optional(),
  stuck: z.enum(stuckReasons).optional(),
  /** Which of these it was told of since the bound was passed. */
  told: z.array(z.enum(stuckReasons)),
  /** Undefined where nothing had to be done. */
  made: made.optional(),
  /** Whether the disk is short in any case, whatever the bounds. */
  isShort: z.boolean(),
});
/** How it stands with the bounds of storage: as the process that makes room says, and the others go by. */
export type RoomState = Readonly<z.infer<typeof roomState>>;

export const withinBounds: RoomState = { told: [], isShort: false };

/** As it stands in the database. Of what a version has written that this one does not understand, nothing is known. */
export function parseRoomState(text: string | null): RoomState {
  if (text === null) return withinBounds;
  const parsed = roomState.safeParse(JSON.parse(text));
  return parsed.success ? parsed.data : withinBounds;
}
