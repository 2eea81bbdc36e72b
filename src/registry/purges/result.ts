import type { OldPages } from '../../metadata/store.ts';
import { z } from 'zod';
import type { PurgePlaceTable } from '../../metadata/schema.ts';

/** What came of a purge, as its record keeps it. */
export const purgeResult = z.object({
  /** How many responses were sending the content, and were broken off. */
  responsesCut: z.int(),
  /** Whether there may have been more: those of a process that ended before the purge was finished ended with it. */
  isCutAtLeast: z.boolean().default(false),
  /** What came of overwriting bytes before they were removed; undefined where nobody asked for it, or nothing was here. */
  shredding: z
    .object({
      /** Whether that was done with every object. */
      isDone: z.boolean(),
      words: z.string(),
    })
    .optional(),
  /**
   * Whether the database had given up the older states of its pages, where manifests were purged that may be in them. By
   * now a purge is not finished before; it may have been in older records.
   */
  isLogEmptied: z.boolean().optional(),
  checks: z.array(z.object({ where: z.string(), found: z.array(z.string()) })),
  /** What is known of who pulled it, in words; records from before it was said have none. */
  pullsKnown: z.string().optional(),
  /** What the purge could not reach, in words. */
  unreached: z.array(z.string()),
});

export type PurgeResult = z.output<typeof purgeResult>;

/** What came of overwriting an object; NULL where nothing is known of that. */
export type ShreddedPlace = Pick<PurgePlaceTable, 'shredded' | 'shredded_words'>;

/** What came of overwriting all objects of a purge, with a sentence for each end that they met with. */
export function shreddingOf(objects: readonly ShreddedPlace[]): PurgeResult['shredding'] {
  if (objects.length === 0) return undefined;
  const sentences = [...Map.groupBy(objects, endOf)].map(
    ([end, alike]) => `${alike.length} ${alike.length === 1 ? 'object' : 'objects'} ${end}`,
  );
  return { isDone: objects.every(({ shredded }) => shredded === 'overwritten'), words: sentences.join('; ') };
}

function endOf({ shredded, shredded_words: words }: ShreddedPlace): string {
  switch (shredded) {
    case 'overwritten':
      return `overwritten: ${words}`;
    case 'not-overwritten':
      return `removed without that: ${words}`;
    case 'gone':
      return `not overwritten: ${words}`;
    case null:
      return 'not overwritten: the collector had removed it before';
  }
}

export interface Reach {
  readonly responsesCut: number;
  readonly isCutAtLeast: boolean;
  /** What became of older states of the database with manifests that needed the content; undefined where none did. */
  readonly oldPages: OldPages | undefined;
  /** Damaged copies that fsck has put aside, of whatever blobs. */
  readonly quarantined: number;
  readonly openUploads: number;
  /** How long a write that has been sent to the blob store may be on its way, in ms. */
  readonly lateWritesMs: number;
  /** Whether the blob store may have kept older versions of what was removed. */
  readonly mayKeepRemoved: boolean;
  /** Connections of processes of versions that do not know of purges by others, in words. */
  readonly notHeededBy: readonly string[];
}

/** @param firstDay the first day of which pulls are remembered, in days since 1970; undefined where none is */
export function pullsKnown(firstDay: number | undefined): string {
  const counts = 'Downloads of a blob alone are not counted, nor pulls that a retention policy does not count.';
  const who =
    "Who pulled is not kept: addresses are in the server's log, where it has each request (log.requests: all).";
  if (firstDay === undefined) {
    return `How often it was pulled is not known: no pulls are remembered (pulls.history). A manifest or tag without a time was not pulled since it was pushed, as far as that was counted. ${counts} ${who}`;
  }
  const since = new Date(firstDay * 86_400_000).toISOString().slice(0, 10);
  return `Pulls of manifests, by tag or digest, are counted since ${since} (pulls.history). ${counts} ${who}`;
}

/** What no purge of this registry can reach, said of each for itself. */
export function unreachedBy({
  responsesCut,
  isCutAtLeast,
  oldPages,
  quarantined,
  openUploads,
  lateWritesMs,
  mayKeepRemoved,
  notHeededBy,
}: Reach): readonly string[] {
  return [
    'Copies that were pulled before: clients, nodes and build caches keep them. A secret that was pulled has to be revoked.',
    'Caches and mirrors between the registry and its clients, such as a CDN or a pull-through cache.',
    'Backups and snapshots of the data directory that were made before.',
    'The same content under another digest: packed otherwise, or named by another algorithm than that of the digest.',
    'What the disk itself keeps of blocks that the file system has given back, such as an SSD does.',
    ...ofDatabase(oldPages),
    ...(mayKeepRemoved
      ? [
          'Older versions of the objects, should the bucket keep any: it neither tells (s3:GetBucketVersioning) nor lists them (s3:ListBucketVersions). Allow the registry both, or see to it that there are none.',
        ]
      : []),
    ...(responsesCut === 0 && !isCutAtLeast
      ? []
      : ['What had left for clients before their downloads were broken off.']),
    ...(notHeededBy.length === 0
      ? []
      : [
          `What processes of an older version were sending of it, which break nothing off: until they are restarted with this one (${notHeededBy.join(', ')}).`,
        ]),
    ...(quarantined === 0
      ? []
      : [
          `${quarantined} damaged files that fsck has put into quarantine/, of which it is not known what they were: look at them, and remove them.`,
        ]),
    ...(openUploads === 0
      ? []
      : [`${openUploads} uploads under way, until they end: one that turns out to be it is refused and removed then.`]),
    ...(lateWritesMs === 0
      ? []
      : [
          'What the network may still bring to the bucket of a write of it that was given up: nobody can pull that here, and it is removed once s3.lateWrites has passed.',
        ]),
  ];
}

function ofDatabase(oldPages: OldPages | undefined): readonly string[] {
  const slack =
    'What SQLite may have left of a manifest in the slack of its pages when it moved rows, until "vacuum" is run on the database while the registry stands still.';
  switch (oldPages) {
    case undefined:
      return [];
    case 'forgotten':
      return [slack];
    case 'being-read':
      return [
        slack,
        "Older states of the manifests that needed it, in the database's log, which somebody was reading: they go when the log begins anew. They have the content only where they embed it.",
      ];
    case 'kept':
      return [
        'What PostgreSQL may have left of a manifest in the slack of its pages, until "vacuum full manifest" is run, in its write-ahead log for a while, and in whatever is made of that: archives, standbys, backups. Manifests have the content only where they embed it.',
      ];
  }
}
