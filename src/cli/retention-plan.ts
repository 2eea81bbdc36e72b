import type { z } from 'zod';
import { formatDuration } from '../config/duration.ts';
import { planTheRetention } from '../http/admin/retention-plan.ts';
import { StartupError } from '../startup-error.ts';
import { adminCommand, type Given } from './admin-command.ts';
import type { AdminClient } from './admin-client.ts';
import type { CommandDefinition } from './command-definition.ts';
import { PlanJson, type PlanLine } from './plan-json.ts';
import { policiesIn } from './policies-file.ts';
import type { ProgressLine } from './progress-line.ts';
import { ReplacedFile } from './replaced-file.ts';
import { bytesText, Table, timeText } from './table.ts';

type Line = z.output<typeof planTheRetention.line>;
type Item = Extract<Line, { items: unknown }>['items'][number];
type Sums = Omit<Extract<Line, { total: unknown }>['total'], 'repositories'>;

const day = 86_400_000;

/** `wherry retention plan`: what policies would remove now, why, and what that would free. */
export const defineRetentionPlan: CommandDefinition = (command, end) => {
  command
    .description('show what policies would remove now, why, and what that would free; nothing is removed')
    .option('--repo <glob>', 'only repositories that this matches')
    .option('--policy <file>', 'plan by the policies of this configuration file, not by those of the registry')
    .option('--out <file>', 'also write the plan into a file, as JSON')
    .option('--all', 'also show what stays, and why');
  adminCommand(command, end, async (admin, given) => {
    const { all, out } = given.flags;
    const lines = toldBy(await asked(admin, given), given.progress, typeof out === 'string' ? out : undefined);
    return { json: () => jsonOf(lines), text: () => textOf(lines, all === true) };
  });
};

async function asked(admin: AdminClient, { flags }: Given): Promise<AsyncIterable<Line>> {
  const { repo, policy, all } = flags;
  const policies = typeof policy === 'string' ? await policiesIn(policy) : undefined;
  return admin.listen(planTheRetention, {
    body: {
      ...(typeof repo === 'string' && { repository: repo }),
      ...(policies !== undefined && { policies }),
      all: all === true,
    },
  });
}

/** All lines but those that say how far it has come, which are shown. @param out the path of a file that gets the plan too */
async function* toldBy(
  lines: AsyncIterable<Line>,
  progress: ProgressLine,
  out: string | undefined,
): AsyncGenerator<PlanLine, void, undefined> {
  await using file = out === undefined ? undefined : await fileAt(out);
  const text = new PlanJson();
  let repositories = 0;
  for await (const line of lines) {
    if ('errors' in line) continue;
    if ('progress' in line) {
      progress.show(line.progress);
      continue;
    }
    progress.clear();
    await file?.write(text.add(line));
    yield line;
    if ('repository' in line) progress.show({ name: 'repositories planned', done: (repositories += 1) });
  }
  await file?.finish();
}

/** @throws StartupError where no file can be made there */
async function fileAt(path: string): Promise<ReplacedFile> {
  try {
    return await ReplacedFile.begin(path);
  } catch (error) {
    throw new StartupError(`cannot write ${path}: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    });
  }
}

async function* jsonOf(lines: AsyncIterable<PlanLine>): AsyncGenerator<string, void, undefined> {
  const text = new PlanJson();
  for await (const line of lines) yield text.add(line);
}

async function* textOf(lines: AsyncIterable<PlanLine>, isAll: boolean): AsyncGenerator<string, void, undefined> {
  const table = new Table(['REPOSITORY', 'TAG', 'DIGEST', 'LAST USE (UTC)', 'AGE', 'FREES', 'WHEN', 'WHY']);
  let madeAt = '';
  for await (const line of lines) {
    if ('plan' in line) ({ madeAt } = line.plan);
    else if ('items' in line) yield `${table.page(line.items.map((item) => rowOf(item, madeAt)))}\n`;
    else if ('repository' in line) {
      const { repository, policy, mayPruneLastTag: _, ...sums } = line.repository;
      if (isAll || goesOrWaits(sums)) yield `${repository} (${policy}): ${sumsText(sums)}\n\n`;
    } else {
      const { repositories, ...sums } = line.total;
      yield `All ${repositories} repositories with a policy: ${sumsText(sums)}\nNothing has been removed.\n`;
    }
  }
}

function rowOf(item: Item, madeAt: string): readonly string[] {
  const { repository, tag, digest, usedAt, pushedAt, taggedAt, freesBytes, outcome, reason } = item;
  const born = [pushedAt, taggedAt]
    .flatMap((time) => time ?? [])
    .toSorted()
    .at(-1);
  return [
    repository,
    tag ?? '(untagged)',
    digest.slice(0, 'sha256:'.length + 12),
    usedAt === undefined ? 'unknown' : timeText(usedAt),
    born === undefined ? 'unknown' : ageText(Date.parse(madeAt) - Date.parse(born)),
    freesBytes === undefined ? '' : bytesText(freesBytes),
    whenText[outcome],
    reason,
  ];
}

const whenText = { goes: 'now', waits: 'later', stays: 'stays' } as const;

/** In days; what is younger than two in hours, minutes or seconds. */
function ageText(ms: number): string {
  const unit = [day, day / 24, day / 1440, 1000].find((each) => ms >= 2 * each) ?? 1000;
  return formatDuration(Math.max(0, Math.floor(ms / unit) * unit));
}

function goesOrWaits({ goingTags, goingManifests, waitingTags, waitingManifests }: Sums): boolean {
  return goingTags + goingManifests + waitingTags + waitingManifests > 0;
}

function sumsText(sums: Sums): string {
  const { freesBytes, freesBlobs } = sums;
  const goes = things(sums.goingTags, sums.goingManifests);
  const waits = things(sums.waitingTags, sums.waitingManifests);
  const stays = things(sums.stayingTags, sums.stayingManifests);
  return `${goes} would go now and free ${bytesText(freesBytes)} in ${freesBlobs} blobs, ${waits} on another day; ${stays} stay.`;
}

function things(tags: number, manifests: number): string {
  return manifests === 0 ? `${tags} tags` : `${tags} tags and ${manifests} untagged manifests`;
}
