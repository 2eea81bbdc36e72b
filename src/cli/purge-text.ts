import type { PlanLine } from '../http/admin/purge-plan.ts';
import type { ShownPlace, ShownRecord } from '../http/admin/purge-shown.ts';
import { bytesText, timeText } from './table.ts';

type Content = Extract<PlanLine, { readonly content: unknown }>['content'];
type Unknown = Extract<PlanLine, { readonly unknownImage: unknown }>;
type Summary = Extract<PlanLine, { readonly summary: unknown }>['summary'];

/** What is to be purged of an image, or was named. */
export function contentText({ digest, kind, sharedWith, isTaken, purge }: Content): string {
  const what = kind === 'digest' ? digest : `${kind} ${digest}`;
  const already = purge === undefined ? '' : `, which purge ${purge} keeps out already`;
  if (sharedWith === undefined) {
    return isTaken ? `to be purged: ${what}${already}` : `kept: ${what}, which tells nothing and is in many images`;
  }
  return isTaken
    ? `to be purged: ${what}, which ${sharedWith} needs too`
    : `kept: ${what}, which ${sharedWith} needs too (--shared takes it)`;
}

/** An image that was named and is not here. */
export function unknownText({ unknownImage, purge }: Unknown): string {
  return purge === undefined
    ? `there is no ${unknownImage}`
    : `there is no ${unknownImage} any more, purge ${purge} has taken it ("wherry purge show ${purge}")`;
}

export function placeText({
  kind,
  repository,
  digest,
  tag,
  id,
  type,
  state,
  subject,
  breaks,
  sizeBytes,
  ...rest
}: ShownPlace): string {
  const size = sizeBytes === undefined ? '' : `, ${bytesText(sizeBytes)}`;
  const pulled = rest.lastPulledAt === undefined ? '' : `, last pulled ${timeText(rest.lastPulledAt)}`;
  const shredded = rest.shredded === undefined ? '' : `, ${shreddedText(rest.shredded)}`;
  const pulls = rest.pulls === undefined ? '' : `, pulled ${rest.pulls} times`;
  const broken = breaks === true ? ', which this breaks' : '';
  switch (kind) {
    case 'object':
      return `  object ${id} of ${digest} (${state}${size}${shredded})`;
    case 'link':
      return `  ${repository} has ${digest}`;
    case 'manifest':
      return `  ${repository}@${digest} (${type}${state === 'trashed' ? ' in the trash' : ''}${size}${pulls}${pulled})${broken}`;
    case 'tag':
      return `  ${repository}:${tag} leads to ${digest}${pulled}${broken}`;
    case 'trashed-tag':
      return `  ${repository}:${tag} in the trash led to ${digest}${broken}`;
    case 'child':
      return `  ${repository}@${digest}, which ${rest.index} lists, ${fateText(rest.heldBy)}`;
    case 'referrer':
      return `  ${repository}@${digest}, which is about ${subject}, ${fateText(rest.heldBy)}`;
    case 'tag-about':
      return `  ${repository}:${tag}, which is about ${subject} and leads to ${digest}, ${
        rest.heldBy === undefined ? 'is removed with that' : `stays: ${rest.heldBy} keeps it`
      }`;
    case 'upload':
      return digest === undefined
        ? `  upload ${id} to ${repository} (checked at its end${size})`
        : `  upload ${id} to ${repository} has brought ${digest}${size}`;
  }
}

function shreddedText({ outcome, words }: NonNullable<ShownPlace['shredded']>): string {
  switch (outcome) {
    case 'overwritten':
      return 'overwritten';
    case 'gone':
      return `nothing could be overwritten: ${words}`;
    case 'not-overwritten':
      return `not overwritten: ${words}`;
  }
}

function cutText({ responsesCut = 0, isCutAtLeast = false }: ShownRecord): readonly string[] {
  if (isCutAtLeast) {
    return [
      `At least ${responsesCut} downloads of it were broken off: the registry was stopped or killed before the purge was finished, and others may have ended with it.`,
    ];
  }
  return responsesCut === 0 ? [] : [`${responsesCut} downloads of it were broken off.`];
}

/** It may be on its way, or come later. */
function nothingIsHere(uploads: number): string {
  return `Nothing of it is here. It is kept out all the same; ${uploads} uploads are checked at their end.`;
}

/** What becomes of a manifest that loses what held it. */
function fateText(heldBy: string | undefined): string {
  return heldBy === undefined ? 'goes by itself when its lease is over' : `stays: ${heldBy} keeps it`;
}

export function summaryText({
  manifests,
  tags,
  links,
  objects,
  uploads,
  repositories,
  bytes,
  consequences,
}: Summary): string {
  if (manifests + tags + links + objects === 0) return nothingIsHere(uploads);
  const besides = consequences === 0 ? '' : ` ${consequences} others lose what held them.`;
  return `In all ${manifests} manifests and ${tags} tags in ${repositories} repositories, ${links} links, ${objects} objects, ${bytesText(bytes)}; ${uploads} uploads are checked at their end.${besides}`;
}

export function recordText(record: ShownRecord): string {
  const { id, at, by, reason, digests, places, removedAt, checkedAt, isClean, checks = [], unreached = [] } = record;
  return [
    `Purge ${id}, ${timeText(at)} (UTC), by ${by}: ${reason}`,
    ...digests.map(({ digest, lifted }) =>
      lifted === undefined
        ? `  ${digest} is kept out`
        : `  ${digest} may come again since ${timeText(lifted.at)}, by ${lifted.by}: ${lifted.reason}`,
    ),
    `It was found in ${places.map(({ kind, count }) => `${count} ${kind}s`).join(', ') || 'no place'}.`,
    removedAt === undefined
      ? `Its bytes are not all removed yet: that is tried again until it is done${record.waitsFor === undefined ? '.' : ` (${record.waitsFor}).`}`
      : `The last byte was removed at ${removedAt}.`,
    ...cutText(record),
    ...(record.shredding === undefined ? [] : [`Shredding: ${record.shredding.words}`]),
    ...(checkedAt === undefined
      ? []
      : [
          isClean === true
            ? `At ${checkedAt} nothing was left of it in ${checks.map(({ where }) => where).join(', ')}.`
            : `At ${checkedAt} this was left:`,
        ]),
    ...checks.flatMap(({ where, found }) => found.map((each) => `  ${where}: ${each}`)),
    ...(record.pullsKnown === undefined ? [] : [`Who pulled it: ${record.pullsKnown}`]),
    ...(unreached.length === 0 ? [] : ['What it could not reach:', ...unreached.map((each) => `  ${each}`)]),
  ].join('\n');
}
