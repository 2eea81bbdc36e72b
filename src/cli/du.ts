import { usageOfPart, usageOfParts, usageOfRegistry } from '../http/admin/usage.ts';
import { adminCommand, everyPage } from './admin-command.ts';
import type { AdminClient } from './admin-client.ts';
import type { CommandDefinition } from './command-definition.ts';
import { bytesText, tableText } from './table.ts';

/** `wherry du`: what takes how much, and what deleting it would free. */
export const defineDu: CommandDefinition = (command, end) => {
  command.argument('[target]', 'REPO or REPO:TAG; the whole registry where there is none');
  adminCommand(command, end, async (admin, [target]) =>
    target === undefined ? await ofRegistry(admin) : await ofPart(admin, target),
  );
};

async function ofRegistry(admin: AdminClient) {
  const whole = await admin.ask(usageOfRegistry);
  const parts = await partsOf(admin, undefined);
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
  const text = `${tableText(['REGISTRY', 'SIZE'], rows)}\n\n${partsText('REPOSITORY', parts)}`;
  return { json: { ...whole, repositories: parts }, text };
}

async function ofPart(admin: AdminClient, target: string) {
  const part = await admin.ask(usageOfPart, { query: { target } });
  if (target.includes(':')) return { json: part, text: partsText('TAG', [part]) };
  const parts = await partsOf(admin, target);
  return { json: { ...part, tags: parts }, text: `${partsText('REPOSITORY', [part])}\n\n${partsText('TAG', parts)}` };
}

async function partsOf(admin: AdminClient, target: string | undefined) {
  return await everyPage(async (after) => {
    const page = await admin.ask(usageOfParts, { query: { target, after, n: '200' } });
    return { items: page.parts, next: page.next };
  });
}

interface Part {
  readonly target: string;
  readonly logicalBytes: number;
  readonly sharedBytes: number;
  readonly uniqueBytes: number;
}

/** UNIQUE is what deleting it would free. */
function partsText(title: string, parts: readonly Part[]): string {
  return tableText(
    [title, 'SIZE', 'SHARED', 'UNIQUE'],
    parts.map(({ target, logicalBytes, sharedBytes, uniqueBytes }) => [
      target,
      bytesText(logicalBytes),
      bytesText(sharedBytes),
      bytesText(uniqueBytes),
    ]),
  );
}
