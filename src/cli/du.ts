import type { z } from 'zod';
import { usageOfPart, usageOfParts, usageOfRegistry } from '../http/admin/usage.ts';
import { adminCommand } from './admin-command.ts';
import type { AdminClient } from './admin-client.ts';
import type { CommandDefinition } from './command-definition.ts';
import { listed, pagesOf, printed, type Printed } from './printed.ts';
import type { ProgressLine } from './progress-line.ts';
import { bytesText, tableText } from './table.ts';

/** `wherry du`: what takes how much, and what deleting it would free. */
export const defineDu: CommandDefinition = (command, end) => {
  command.argument('[target]', 'REPO or REPO:TAG; the whole registry where there is none');
  adminCommand(command, end, async (admin, { args: [target], progress }) =>
    target === undefined ? await ofRegistry(admin, progress) : await ofPart(admin, progress, target),
  );
};

async function ofRegistry(admin: AdminClient, progress: ProgressLine): Promise<Printed> {
  const whole = await admin.ask(usageOfRegistry, { onProgress: (come) => progress.show(come) });
  const rows = [
    ['held by tags and pins', bytesText(whole.heldBytes)],
    ['in the trash', bytesText(whole.trashBytes)],
    ['garbage not yet due', bytesText(whole.waitingBytes)],
    ['to reclaim', bytesText(whole.toReclaimBytes)],
    ['being uploaded', bytesText(whole.uploadBytes)],
    ['together', bytesText(whole.totalBytes)],
    ['on the disk', bytesText(whole.onDiskBytes)],
    ['saved by sharing between repositories', bytesText(whole.sharedBytes)],
  ];
  const above = { json: whole, text: tableText(['REGISTRY', 'SIZE'], rows) };
  const pages = partsOf(admin, undefined);
  return listed({ name: 'repositories', above, pages, titles: titlesOf('REPOSITORY'), rowOf }, progress);
}

async function ofPart(admin: AdminClient, progress: ProgressLine, target: string): Promise<Printed> {
  const part = await admin.ask(usageOfPart, { query: { target }, onProgress: (come) => progress.show(come) });
  const isTag = target.includes(':');
  const text = tableText(titlesOf(isTag ? 'TAG' : 'REPOSITORY'), [rowOf(part)]);
  if (isTag) return printed(part, text);
  const pages = partsOf(admin, target);
  return listed({ name: 'tags', above: { json: part, text }, pages, titles: titlesOf('TAG'), rowOf }, progress);
}

/** Few at a time: each is added up anew. */
function partsOf(admin: AdminClient, target: string | undefined) {
  return pagesOf(async (after) => {
    const page = await admin.ask(usageOfParts, { query: { target, after, n: '20' } });
    return { items: page.parts, next: page.next };
  });
}

/** UNIQUE is what deleting it would free. */
function titlesOf(what: string): readonly string[] {
  return [what, 'SIZE', 'SHARED', 'UNIQUE'];
}

function rowOf({ target, logicalBytes, sharedBytes, uniqueBytes }: z.output<typeof usageOfPart.answer>) {
  return [target, bytesText(logicalBytes), bytesText(sharedBytes), bytesText(uniqueBytes)];
}
