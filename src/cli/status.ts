import type { z } from 'zod';
import { storageStatus } from '../http/admin/status.ts';
import { adminCommand } from './admin-command.ts';
import type { CommandDefinition } from './command-definition.ts';
import { printed } from './printed.ts';
import { bytesText, timeText } from './table.ts';

type Status = z.output<typeof storageStatus.answer>;
type Line = readonly [label: string, text: string];

/** `wherry status`: the disk, what is stored, and what is to come, on one screen. */
export const defineStatus: CommandDefinition = (command, end) => {
  adminCommand(command, end, async (admin, { progress }) => {
    const status = await admin.ask(storageStatus, { onProgress: (come) => progress.show(come) });
    return printed(status, textOf(status));
  });
};

function textOf(status: Status): string {
  const sections: readonly (readonly [title: string, lines: readonly Line[]])[] = [
    ['DISK', diskLines(status)],
    ['STORED', storedLines(status)],
    ['TO COME', outlookLines(status)],
    ['PROCESSES', processLines(status)],
    ['LAST EVENTS', eventLines(status)],
  ];
  const shown = sections.filter(([, lines]) => lines.length > 0);
  const width = Math.max(...shown.flatMap(([, lines]) => lines.map(([label]) => label.length)));
  return shown
    .map(([title, lines]) => [title, ...lines.map(([label, text]) => `  ${label.padEnd(width)}  ${text}`)].join('\n'))
    .join('\n\n');
}

function diskLines({ disk, bounds, state }: Status): readonly Line[] {
  const { usedBytes, highBytes, lowBytes, reserveBytes } = bounds;
  const high =
    highBytes === undefined
      ? 'off: nothing goes before its time'
      : `${bytesText(usedBytes)} used of ${bytesText(highBytes)}; room is made down to ${bytesText(lowBytes ?? 0)}`;
  return [
    ['file system', `${bytesText(disk.usedBytes)} used, ${bytesText(disk.freeBytes)} free`],
    ['storage.high', high],
    ['storage.reserve', reserveBytes === 0 ? 'off' : `${bytesText(reserveBytes)} have to stay free`],
    ['state', stateText(state, bounds)],
  ];
}

function stateText(
  state: Status['state'],
  { overHighSince, underReserveSince, stuck, made }: Status['bounds'],
): string {
  const trashed = made && made.trashedManifests + made.trashedTags;
  const pruned = made && made.prunedTags + made.prunedManifests;
  const done =
    made === undefined
      ? ''
      : `; so far ${trashed} things left the trash early and ${pruned} went by policies, about ${bytesText(made.bytes)}`;
  const over = overHighSince === undefined ? '' : ` since ${timeText(overHighSince)}`;
  switch (state) {
    case 'within-bounds':
      return 'within its bounds';
    case 'making-room':
      return `over storage.high${over}: room is being made${done}`;
    case 'others-fill-the-disk':
      return `over storage.high${over}, filled by something else than blobs: nothing is deleted for it`;
    case 'stuck':
      return `over storage.high${over}, and no more room can be made: ${whyText(stuck)}${done}`;
    case 'under-reserve': {
      const since = underReserveSince === undefined ? '' : ` since ${timeText(underReserveSince)}`;
      const why = stuck === undefined ? '' : `, and no more room can be made: ${whyText(stuck)}`;
      return `less is free than the reserve${since}: new uploads are refused${why}${done}`;
    }
  }
}

function whyText(stuck: string | undefined): string {
  switch (stuck) {
    case 'collector-paused':
      return 'the collector is paused, or the database is older than the blobs';
    case 'others-fill-the-disk':
      return 'all blobs together take less than what is missing';
    default:
      return 'nothing is left that may go';
  }
}

function storedLines({ stored, trash }: Status): readonly Line[] {
  const { held, shared, uploads, garbage, databaseBytes } = stored;
  const ages = [
    `for up to an hour ${bytesText(garbage.forAnHourBytes)}`,
    `up to a day ${bytesText(garbage.forADayBytes)}`,
    `longer ${bytesText(garbage.forLongerBytes)}`,
  ];
  const more = trash.isPartial ? 'more than ' : '';
  return [
    ['in repositories', `${bytesText(held.bytes)} in ${held.objects} blobs`],
    ['  shared', `${bytesText(shared.bytes)} by several repositories, which saves ${bytesText(shared.savedBytes)}`],
    ['  in the trash', `${more}${trash.tags} tags and ${trash.manifests} manifests, at most ${bytesText(trash.bytes)}`],
    ['garbage', `${bytesText(garbage.condemned.bytes + garbage.dead.bytes)} (${ages.join(', ')})`],
    ['being uploaded', `${bytesText(uploads.bytes)} in ${uploads.objects} uploads`],
    ['database', bytesText(databaseBytes)],
  ];
}

function outlookLines({ freed, forecast, collectorPaused: paused }: Status): readonly Line[] {
  const most = freed.isPartial ? 'some' : 'at most';
  const held =
    paused === undefined
      ? []
      : [['collector', `paused since ${timeText(paused.pausedAt)} by ${paused.pausedBy}: ${paused.reason}`] as const];
  return [
    ...held,
    ['freed within an hour', `${most} ${bytesText(freed.withinHourBytes)}`],
    ['freed within a day', `${most} ${bytesText(freed.withinDayBytes)}`],
    ['at the rate of a day', forecastText(forecast.day)],
    ['at that of a week', forecastText(forecast.week)],
  ];
}

function forecastText(one: Status['forecast']['day']): string {
  if (one === undefined) return 'not known yet: it takes some hours of samples';
  const { bytesPerDay, highAt, reserveAt } = one;
  const sign = bytesPerDay < 0 ? '-' : '+';
  const rate = `${sign}${bytesText(Math.abs(bytesPerDay))} a day`;
  const full = reserveAt === undefined ? 'never full' : `full ${timeText(reserveAt)}`;
  return `${rate}: ${highAt === undefined ? '' : `over storage.high ${timeText(highAt)}, `}${full}`;
}

function processLines({ processes }: Status): readonly Line[] {
  return processes.map(({ name, version, schema, isCollecting, since, lastHeardAt }): Line => {
    const said = [
      `version ${version ?? 'unknown'}`,
      `schema ${schema ?? 'unknown'}`,
      isCollecting === undefined ? 'collecting unknown' : isCollecting ? 'may collect' : 'does not collect',
      `since ${since === undefined ? 'unknown' : timeText(since)}`,
      `last heard of ${lastHeardAt === undefined ? 'unknown' : timeText(lastHeardAt)}`,
    ];
    return [name, said.join(', ')];
  });
}

function eventLines({ events }: Status): readonly Line[] {
  return events.map(({ at, kind, reason, bytes }): Line => {
    const size = bytes === undefined ? '' : ` (${bytesText(bytes)})`;
    return [timeText(at), `${kind}${size}${reason === undefined ? '' : `: ${reason}`}`];
  });
}
