import { z } from 'zod';

/** What came of a purge, as its record keeps it. */
export const purgeResult = z.object({
  /** How many responses were sending the content, and were broken off. */
  responsesCut: z.int(),
  /** Whether bytes were overwritten before they were removed, and what that means; undefined where nobody asked for it. */
  shredding: z.object({ isDone: z.boolean(), words: z.string() }).optional(),
  /** Whether the database has given up the older states of its pages, where manifests were purged that may be in them. */
  isLogEmptied: z.boolean(),
  checks: z.array(z.object({ where: z.string(), found: z.array(z.string()) })),
  /** What the purge could not reach, in words. */
  unreached: z.array(z.string()),
});

export type PurgeResult = z.output<typeof purgeResult>;

export interface Reach {
  readonly responsesCut: number;
  readonly isLogEmptied: boolean;
  /** Damaged copies that fsck has put aside, of whatever blobs. */
  readonly quarantined: number;
  readonly openUploads: number;
}

/** What no purge of this registry can reach, said of each for itself. */
export function unreachedBy({ responsesCut, isLogEmptied, quarantined, openUploads }: Reach): readonly string[] {
  return [
    'Copies that were pulled before: clients, nodes and build caches keep them. A secret that was pulled has to be revoked.',
    'Caches and mirrors between the registry and its clients, such as a CDN or a pull-through cache.',
    'Backups and snapshots of the data directory that were made before.',
    'The same content under another digest: packed otherwise, or named by another algorithm than that of the digest.',
    'What the disk itself keeps of blocks that the file system has given back, such as an SSD does.',
    'What SQLite may have left of a manifest in the slack of its pages when it moved rows, until "vacuum" is run on the database while the registry stands still.',
    ...(responsesCut === 0
      ? []
      : [`What had left for clients before their ${responsesCut} downloads were broken off.`]),
    ...(isLogEmptied
      ? []
      : [
          "Older states of the database's pages in its log, which somebody was reading: they go when the log begins anew.",
        ]),
    ...(quarantined === 0
      ? []
      : [
          `${quarantined} damaged files that fsck has put into quarantine/, of which it is not known what they were: look at them, and remove them.`,
        ]),
    ...(openUploads === 0
      ? []
      : [`${openUploads} uploads under way, until they end: one that turns out to be it is refused and removed then.`]),
  ];
}
