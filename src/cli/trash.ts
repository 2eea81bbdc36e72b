import { emptyTheTrash, listTrash, restoreFromTrash } from '../http/admin/trash.ts';
import { adminCommand, everyPage } from './admin-command.ts';
import type { CommandDefinition } from './command-definition.ts';
import { bytesText, tableText, timeText } from './table.ts';

/** `wherry trash`: what was deleted, and can be restored until its time is over. */
export const defineTrash: CommandDefinition = (command, end) => {
  const list = command.command('list [repository]').description('show what can be restored, and until when');
  adminCommand(list, end, async (admin, [target]) => {
    const entries = await everyPage(async (after) => {
      const page = await admin.ask(listTrash, { query: { target, after, n: '1000' } });
      return { items: page.entries, next: page.next };
    });
    const rows = entries.map((entry) => [
      entry.target,
      timeText(entry.until),
      entry.sizeBytes === undefined ? '' : bytesText(entry.sizeBytes),
    ]);
    const text = rows.length === 0 ? 'The trash is empty.' : tableText(['WHAT', 'UNTIL (UTC)', 'MANIFEST'], rows);
    return { json: { entries }, text };
  });

  const restore = command
    .command('restore <target>')
    .description('bring REPO:TAG or REPO@DIGEST back, with all that it needs; REPO:TAG@DIGEST for an older manifest');
  adminCommand(restore, end, async (admin, [target]) => {
    const restored = await admin.ask(restoreFromTrash, { body: { target } });
    const tags = restored.tags.map((tag) => `${tag} leads to ${restored.digest} again`);
    const manifests = restored.manifests.map((digest) => `${digest} can be pulled again`);
    const movedOn = restored.movedOn.map(({ tag, current }) => `${tag} has moved on and stays at ${current}`);
    return { json: restored, text: [...manifests, ...tags, ...movedOn].join('\n') };
  });

  const empty = command
    .command('empty [target]')
    .description('end the time of everything in the trash, or of REPO, REPO:TAG or REPO@DIGEST, now')
    .option('--dry-run', 'only say what would go');
  adminCommand(empty, end, async (admin, [target], flags) => {
    const emptied = await admin.ask(emptyTheTrash, {
      body: { ...(target !== undefined && { target }), dryRun: flags['dryRun'] === true },
    });
    const counts = `${emptied.manifests} manifests and ${emptied.tags} tags`;
    const text = emptied.dryRun
      ? `${counts} would go from the trash.`
      : `${counts} are no longer in the trash; the collector gives their bytes back.`;
    return { json: emptied, text };
  });
};
