import type { z } from 'zod';
import { explain } from '../http/admin/explain.ts';
import { adminCommand } from './admin-command.ts';
import { exitCodes } from './exit-codes.ts';
import type { CommandDefinition } from './command-definition.ts';
import { printed } from './printed.ts';
import { bytesText, timeText } from './table.ts';

type Explanation = z.output<typeof explain.answer>;
type Manifest = Explanation['manifests'][number];
type Hold = Manifest['holds'][number];

/** `wherry explain`: what keeps a thing, what deleting it would free, and what became of it. */
export const defineExplain: CommandDefinition = (command, end) => {
  command.argument('<target>', 'REPO, REPO:TAG, REPO@DIGEST, or the DIGEST of a blob or a manifest');
  adminCommand(command, end, async (admin, { args: [target] }) => {
    const found = await admin.ask(explain, { query: { target } });
    const isKnown = found.exists || found.events.length > 0 || found.purges !== undefined;
    return printed(found, textOf(found), isKnown ? exitCodes.success : exitCodes.failure);
  });
};

function textOf(found: Explanation): string {
  const lines = [`${found.target} ${found.exists ? 'is here.' : 'is not here.'}`];
  for (const { id, at, reason, digest, keptOut } of found.purges ?? []) {
    const record = id === undefined ? '' : ` (wherry purge show ${id})`;
    const now = keptOut ? 'is kept out' : 'may come again by now';
    lines.push(`It was purged ${timeText(at)} with ${digest}, and ${now}: ${reason}${record}`);
  }
  if (found.pin !== undefined) lines.push(`It is pinned by ${found.pin.pinnedBy}: ${found.pin.reason}`);
  if (found.immutable !== undefined) lines.push(immutableText(found.kind, found.immutable.rule));
  for (const manifest of found.manifests) lines.push(...manifestLines(manifest));
  if (found.wouldFree !== undefined) lines.push(`Deleting the tag would free ${freedText(found.wouldFree)}.`);
  for (const { state, sizeBytes, dueAt } of found.objects ?? []) {
    const until = dueAt === undefined ? '' : ` until ${timeText(dueAt)}`;
    const areRemoved = state === 'dead' && sizeBytes === 0 && dueAt !== undefined;
    lines.push(
      areRemoved
        ? `Its bytes are removed, and will be once more at ${timeText(dueAt)}, as a late write could bring them back.`
        : `Its bytes (${bytesText(sizeBytes)}) are ${state}${until}.`,
    );
  }
  for (const { repository, manifests, manifestCount, leaseUntil } of found.links ?? []) {
    const needs =
      manifestCount === 0
        ? `nothing needs it, lease until ${timeText(leaseUntil)}`
        : `needed by ${manifests.join(', ')}`;
    lines.push(`  in ${repository}: ${needs}`);
  }
  for (const { digest, until } of found.inTrash ?? [])
    lines.push(`Until ${timeText(until)} it can be restored to ${digest}.`);
  if (found.events.length > 0) lines.push('What happened, the newest first (UTC):');
  for (const event of found.events) {
    const about = [event.tag, event.digest].filter((part) => part !== undefined).join(' ');
    const reason = event.reason === undefined ? '' : `: ${event.reason}`;
    const { bytes } = event;
    const frees = bytes !== undefined && event.kind.endsWith('.pruned') ? `, which frees ${bytesText(bytes)}` : '';
    lines.push(`  ${timeText(event.at)}  ${event.kind}  ${about}  by ${event.actor}${reason}${frees}`);
  }
  return lines.join('\n');
}

function immutableText(kind: Explanation['kind'], rule: string): string {
  const what =
    kind === 'repository' ? 'Nothing of it can be overwritten or deleted' : 'It can be neither overwritten nor deleted';
  return `${what}: it is immutable by the rule ${rule}.`;
}

function manifestLines({ repository, digest, state, held, holds, nextReview, wouldFree }: Manifest): string[] {
  const stays = held ? 'stays until somebody takes that away' : 'stays for a time only';
  return [
    `${repository}@${digest} is ${state === 'live' ? 'visible' : 'in the trash'} and ${stays}. It is kept by`,
    ...holds.map((hold) => `  ${holdText(hold)}`),
    ...(nextReview === undefined ? [] : [`The collector looks at it ${timeText(nextReview)} (UTC).`]),
    `Deleting it with its tags would free ${freedText(wouldFree)}.`,
  ];
}

function holdText({ by, name, reason, held, until }: Hold): string {
  const more = [
    reason,
    held === false ? 'which nothing keeps for ever' : undefined,
    until === undefined ? undefined : `until ${timeText(until)}`,
  ];
  return [[by, name].filter((part) => part !== undefined).join(' '), ...more]
    .filter((part) => part !== undefined)
    .join(', ');
}

function freedText({ bytes, blobs, manifests }: Manifest['wouldFree']): string {
  return `${bytesText(bytes)} in ${blobs} blobs, and ${manifests} manifests`;
}
