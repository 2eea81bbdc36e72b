import { stringify } from 'yaml';
import type { Moved } from '../moving/move.ts';
import { type PlaceConfig, placeOf } from '../moving/place.ts';
import { lacksPassword, placeSettings } from '../moving/place-settings.ts';
import { bytesText } from './table.ts';

/** What was moved, and what is to be done next. */
export function movedText(
  { blobs, blobBytes, blobsThereBefore, rows, pausedMs, damaged }: Moved,
  { tookMs, from, to }: { readonly tookMs: number; readonly from: PlaceConfig; readonly to: PlaceConfig },
): string {
  const [was, is] = [placeOf(from), placeOf(to)];
  const before = blobsThereBefore === 0 ? '' : `, ${blobsThereBefore} of them by an earlier try`;
  const lines = [
    `Moved in ${(tookMs / 1000).toFixed(1)} s: ${blobs} blobs with ${bytesText(blobBytes)}${before}; ${rows} rows.`,
    `Changes have been refused for ${(pausedMs / 1000).toFixed(1)} s so far, and are until it is served from the new place.`,
    ...damaged.map(({ digest, reason }) => `Left behind: ${digest}, ${reason}`),
    '',
    'Now stop the registry, change these settings in its configuration file, and start it again:',
    '',
    ...settingLines(to),
    '',
    ...(was.blobs !== is.blobs && from.blobs.kind === 's3' && to.metadata.kind === 'postgres'
      ? [
          'On each other machine that serves it, remove the file blobs-place from its data directory before: it names the old bucket.',
        ]
      : []),
    ...(was.metadata === is.metadata
      ? ['Then, with the new configuration: wherry readonly off']
      : ['What it was moved from stays as it is, read-only, until you remove it.']),
  ];
  return lines.join('\n');
}

/** Lines of a configuration file. A line is never folded, so that each can be read and copied for itself. */
function settingLines(to: PlaceConfig): readonly string[] {
  const yaml = stringify(placeSettings(to), { lineWidth: 0 }).trimEnd().split('\n');
  return lacksPassword(to)
    ? [
        '# The password of the database is not printed: put it behind the user (postgres://USER:PASSWORD@…), or into the',
        '# environment of the registry as PGPASSWORD.',
        ...yaml,
      ]
    : yaml;
}
