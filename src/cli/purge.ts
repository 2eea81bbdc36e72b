import { createInterface } from 'node:readline/promises';
import type { Command } from 'commander';
import { longestReason, tooLongReason } from '../http/admin/endpoint.ts';
import { liftThePurge, listPurges, purgeNow } from '../http/admin/purge.ts';
import { type PlanLine, planThePurge } from '../http/admin/purge-plan.ts';
import type { ShownRecord } from '../http/admin/purge-shown.ts';
import type { AdminClient } from './admin-client.ts';
import { adminCommand, type Given } from './admin-command.ts';
import type { CommandDefinition } from './command-definition.ts';
import { quote } from '../oci/quote.ts';
import { exitCodes } from './exit-codes.ts';
import { type Printed, listed as listing, pagesOf, printed } from './printed.ts';
import { namingProblem } from './purge-named.ts';
import { contentText, placeText, recordText, summaryText, unknownText } from './purge-text.ts';
import { printedRecord } from './purge-show.ts';
import { timeText } from './table.ts';

/** `wherry purge`: removes contents from everywhere at once, and keeps them out. */
export const definePurge: CommandDefinition = (command, end) => {
  // Else the flags of "show", "list" and "lift" would be taken for those of "purge".
  command
    .enablePositionalOptions()
    .argument('[digests...]', 'digests of blobs or manifests')
    .option(
      '--manifest <image>',
      'REPO:TAG or REPO@DIGEST: its manifest, and what nothing else needs of its config, layers and listed images',
    )
    .option('--shared', 'with --manifest: also what something else needs of it; the list shows what breaks')
    .option('--why <text>', 'why: the record keeps it, and whoever is refused reads it')
    .option('--shred', 'overwrite the bytes before they are removed, where that means anything')
    .option('--dry-run', 'only list what it would hit')
    .option('--yes', 'do not ask');
  adminCommand(command, end, async (admin, given) => printedPurge(admin, given));

  const show = command.command('show <id>').description('show the record of a purge, with each place that it had');
  adminCommand(show, end, async (admin, { args: [id = ''] }) => {
    if (/^[1-9]\d*$/.test(id)) return await printedRecord(admin, id);
    const error = `${quote(id)} is not the number of a purge: "wherry purge list" shows those that there are`;
    return printed({ error }, error, exitCodes.usage);
  });

  const list = command.command('list').description('list the purges, the newest first');
  adminCommand(list, end, async (admin, { progress }) => {
    const pages = pagesOf(async (before) => {
      const page = await admin.ask(listPurges, { query: { before, n: '200' } });
      return { items: page.purges, next: page.next };
    });
    const titles = ['ID', 'AT (UTC)', 'BY', 'KEEPS OUT', 'STATE', 'WHY'];
    return listing({ name: 'purges', pages, titles, rowOf, ifEmpty: 'Nothing was ever purged.' }, progress);
  });

  defineLift(command, end);
};

function defineLift(command: Command, end: (exitCode: number) => void): void {
  const lift = command
    .command('lift <digests...>')
    .description('let purged digests in again; nothing comes back by that')
    .requiredOption('--why <text>', 'why: the record keeps it');
  adminCommand(lift, end, async (admin, { args, flags: { why } }) => {
    const problem = namingProblem(args, undefined) ?? reasonProblem(why);
    if (problem !== undefined) {
      const error = `nothing was lifted: ${problem}`;
      return printed({ error }, error, exitCodes.usage);
    }
    const lifted = await admin.ask(liftThePurge, { body: { digests: args, reason: why } });
    return printed(lifted, lifted.digests.map((digest) => `${digest} may be pushed again`).join('\n'));
  });
}

/** Lists what it would hit as it finds it, and then acts: unless it shall not, or a person says no. */
function printedPurge(admin: AdminClient, { args, flags }: Given): Printed {
  const { manifest, shared, why, shred, dryRun, yes } = flags;
  const named = {
    digests: args,
    images: manifest === undefined ? [] : [manifest],
    shared: shared === true,
  };
  let exitCode: number = exitCodes.success;
  /** Of the image, as it was listed. */
  let listed: string | undefined;

  async function* plan(): AsyncGenerator<PlanLine, void, undefined> {
    for await (const line of admin.listen(planThePurge, { body: named })) {
      if ('content' in line && line.content.kind === 'manifest') listed ??= line.content.digest;
      yield line;
    }
  }

  async function act(): Promise<ShownRecord> {
    // A tag that leads to something else since it was listed is refused.
    const isTag = typeof manifest === 'string' && !manifest.includes('@') && listed !== undefined;
    const images = isTag ? [`${manifest}@${listed}`] : named.images;
    const body = { ...named, images, reason: why ?? '', shred: shred === true };
    const record = await admin.ask(purgeNow, { body });
    if (record.isClean !== true) exitCode = exitCodes.failure;
    return record;
  }
  /** What keeps it from acting, beside a person. */
  function misses(): string | undefined {
    if (args.length === 0 && manifest === undefined) return 'name a digest, or an image with --manifest';
    const problem = namingProblem(args, manifest);
    if (problem !== undefined) return problem;
    if (shared === true && manifest === undefined) {
      return '--shared is about the image of --manifest; a digest is purged whatever needs it';
    }
    return dryRun === true ? undefined : reasonProblem(why);
  }

  return {
    get exitCode() {
      return exitCode;
    },
    async *text() {
      const missing = misses();
      if (missing !== undefined) {
        exitCode = exitCodes.usage;
        yield `nothing was purged: ${missing}\n`;
        return;
      }
      let isKnown = true;
      for await (const line of plan()) {
        if ('content' in line) yield `${contentText(line.content)}\n`;
        else if ('place' in line) yield `${placeText(line.place)}\n`;
        else if ('summary' in line) yield `${summaryText(line.summary)}\n`;
        else {
          isKnown = false;
          yield `${unknownText(line)}: nothing was purged\n`;
        }
      }
      if (!isKnown) {
        exitCode = exitCodes.failure;
        return;
      }
      if (dryRun === true) return;
      if (yes !== true && !(await agrees())) {
        exitCode = exitCodes.failure;
        yield 'nothing was purged\n';
        return;
      }
      yield `\n${recordText(await act())}\n`;
    },
    async *json() {
      const missing = misses();
      if (missing !== undefined) {
        exitCode = exitCodes.usage;
        yield `${JSON.stringify({ error: `nothing was purged: ${missing}` })}\n`;
        return;
      }
      yield '{\n  "plan": [';
      let separator = '\n';
      let isKnown = true;
      for await (const line of plan()) {
        if ('unknownImage' in line) isKnown = false;
        yield `${separator}    ${JSON.stringify(line)}`;
        separator = ',\n';
      }
      yield '\n  ]';
      if (!isKnown) exitCode = exitCodes.failure;
      else if (dryRun !== true) yield `,\n  "purge": ${JSON.stringify(await act())}`;
      yield '\n}\n';
    },
  };
}

/** What is wrong with a reason; undefined where nothing is. */
function reasonProblem(why: unknown): string | undefined {
  if (typeof why !== 'string' || why.trim() === '') return 'say why: --why TEXT';
  return why.length > longestReason ? tooLongReason : undefined;
}

/** Asks a person; where none is at the terminal, the command was meant as it was given. */
async function agrees(): Promise<boolean> {
  if (!process.stdin.isTTY || !process.stdout.isTTY) return true;
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  try {
    const answer = await terminal.question('Purge all this, at once and for good? Type "purge" to go on: ');
    return answer.trim() === 'purge';
  } finally {
    terminal.close();
  }
}

function rowOf({ id, at, by, digests, reason, checkedAt, isClean }: ShownRecord): readonly string[] {
  const keptOut = digests.filter(({ lifted }) => lifted === undefined).length;
  const state = checkedAt === undefined ? 'not finished' : isClean === true ? 'nothing is left' : 'something is left';
  return [String(id), timeText(at), by, `${keptOut} of ${digests.length} digests`, state, reason];
}
