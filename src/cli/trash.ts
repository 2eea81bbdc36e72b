import type { z } from 'zod';
import { emptyTheTrash, listTrash, restoreFromTrash } from '../http/admin/trash.ts';
import { adminCommand } from './admin-command.ts';
import type { CommandDefinition } from './command-definition.ts';
import { listed, pagesOf, printed } from './printed.ts';
import { bytesText, timeText } from './table.ts';

type Entry = z.output<typeof listTrash.answer>['entries'][number];

/** How many entries are asked for at once. */
const pageLength = '200';

/** `wherry trash`: what was deleted, and can be restored until its time is over. */
export const defineTrash: CommandDefinition = (command, end) => {
  const list = command.command('list [repository]').description('show what can be restored, and until when');
  adminCommand(list, end, async (admin, { args: [target], progress }) => {
    const pages = pagesOf(async (after) => {
      const page = await admin.ask(listTrash, { query: { target, after, n: pageLength } });
      return { items: page.entries, next: page.next };
    });
    const titles = ['WHAT', 'UNTIL (UTC)', 'MANIFEST'];
    return listed({ name: 'entries', pages, titles, rowOf, ifEmpty: 'The trash is empty.' }, progress);
  });

  const restore = command
    .command('restore <target>')
    .description('bring REPO:TAG or REPO@DIGEST back, with all that it needs; REPO:TAG@DIGEST for an older manifest');
  adminCommand(restore, end, async (admin, { args: [target] }) => {
    const restored = await admin.ask(restoreFromTrash, { body: { target } });
    const tags = restored.tags.map((tag) => `${tag} leads to ${restored.digest} again`);
    const manifests = restored.manifests.map((digest) => `${digest} can be pulled again`);
    const movedOn = restored.movedOn.map(({ tag, current }) => `${tag} has moved on and stays at ${current}`);
    return printed(restored, [...manifests, ...tags, ...movedOn].join('\n'));
  });

  const empty = command
    .command('empty [target]')
    .description('end the time of everything in the trash, or of REPO, REPO:TAG or REPO@DIGEST, now')
    .option('--dry-run', 'only say what would go');
  adminCommand(empty, end, async (admin, { args: [target], flags, progress }) => {
    const emptied = await admin.ask(emptyTheTrash, {
      body: { ...(target !== undefined && { target }), dryRun: flags['dryRun'] === true },
      onProgress: (come) => progress.show(come),
    });
    return printed(emptied, emptiedText(emptied));
  });
};

function rowOf({ target, until, sizeBytes }: Entry): readonly string[] {
  return [target, timeText(until), sizeBytes === undefined ? '' : bytesText(sizeBytes)];
}

function emptiedText({ manifests, tags, wouldFree }: z.output<typeof emptyTheTrash.answer>): string {
  const counts = `${manifests} manifests and ${tags} tags`;
  return wouldFree === undefined
    ? `${counts} are no longer in the trash; the collector gives their bytes back.`
    : `${counts} would go from the trash, which would free ${bytesText(wouldFree.bytes)} in ${wouldFree.blobs} blobs.`;
}
