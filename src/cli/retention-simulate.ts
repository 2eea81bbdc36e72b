import type { z } from 'zod';
import { simulateTheRetention } from '../http/admin/retention-simulate.ts';
import { adminCommand, type Given } from './admin-command.ts';
import type { AdminClient } from './admin-client.ts';
import type { CommandDefinition } from './command-definition.ts';
import { policiesIn } from './policies-file.ts';
import type { ProgressLine } from './progress-line.ts';
import { bytesText, tableText, timeText } from './table.ts';

type Line = z.output<typeof simulateTheRetention.line>;
type Told = Exclude<Line, { progress: unknown } | { errors: unknown }>;
type Day = Extract<Line, { days: unknown }>['days'][number];
type Broken = Extract<Line, { broken: unknown }>['broken'][number];
type Total = Extract<Line, { total: unknown }>['total'];
type Repository = Extract<Line, { repository: unknown }>['repository'];

/** More days than this are shown by the week. */
const mostDays = 31;
/** Things whose pulls would have failed that a person sees. */
const shownBroken = 25;

/** `wherry retention simulate`: what policies would have removed, and which pulls that would have broken. */
export const defineRetentionSimulate: CommandDefinition = (command, end) => {
  command
    .description(
      'replay policies over what was pushed and pulled: what would have gone, and which pulls would have failed',
    )
    .option('--policy <file>', 'simulate the policies of this configuration file, not those of the registry')
    .option('--since <time>', 'how far back', '90d')
    .option('--repo <glob>', 'only repositories that this matches');
  adminCommand(command, end, async (admin, given) => {
    const lines = toldBy(await asked(admin, given), given.progress);
    return { json: () => jsonOf(lines), text: () => textOf(lines) };
  });
};

async function asked(admin: AdminClient, { flags }: Given): Promise<AsyncIterable<Line>> {
  const { repo, policy, since } = flags;
  const policies = typeof policy === 'string' ? await policiesIn(policy) : undefined;
  return admin.listen(simulateTheRetention, {
    body: {
      ...(typeof repo === 'string' && { repository: repo }),
      ...(policies !== undefined && { policies }),
      ...(typeof since === 'string' && { since }),
    },
  });
}

/** All lines but those that say how far it has come, which are shown. */
async function* toldBy(lines: AsyncIterable<Line>, progress: ProgressLine): AsyncGenerator<Told, void, undefined> {
  for await (const line of lines) {
    if ('errors' in line) continue;
    if ('progress' in line) progress.show(line.progress);
    else {
      if (!('repository' in line)) progress.clear();
      yield line;
    }
  }
}

/** A text of JSON, line by line as it comes. */
async function* jsonOf(lines: AsyncIterable<Told>): AsyncGenerator<string, void, undefined> {
  for await (const line of lines) yield `${JSON.stringify(line)}\n`;
}

async function* textOf(lines: AsyncIterable<Told>): AsyncGenerator<string, void, undefined> {
  const days: Day[] = [];
  const broken: Broken[] = [];
  const repositories = new Worst();
  for await (const line of lines) {
    if ('simulation' in line) yield headText(line.simulation);
    else if ('repository' in line) repositories.add(line.repository);
    else if ('days' in line) days.push(...line.days);
    else if ('broken' in line) broken.push(...line.broken.slice(0, Math.max(0, shownBroken - broken.length)));
    else yield* reportText({ days, broken, repositories, total: line.total });
  }
}

function headText({ since, madeAt, rememberedSince }: Extract<Line, { simulation: unknown }>['simulation']): string {
  const remembered =
    rememberedSince === undefined
      ? 'Nothing is remembered yet: there is nothing to replay.\n'
      : rememberedSince === since
        ? 'Nothing from before that is remembered.\n'
        : '';
  return `Replayed from ${timeText(since)} to ${timeText(madeAt)} (UTC). ${remembered}`.trimEnd().concat('\n\n');
}

interface Report {
  readonly days: readonly Day[];
  readonly broken: readonly Broken[];
  readonly repositories: Worst;
  readonly total: Total;
}

function* reportText({ days, broken, repositories, total }: Report): Generator<string, void, undefined> {
  const isByWeek = days.length > mostDays;
  const rows = isByWeek ? weeksOf(days) : days;
  let freed = 0;
  const table = rows.map((row) => {
    freed += row.freedBytes;
    return [row.day, String(row.pruned)].concat(
      [row.freedBytes, freed, row.heldBytes, row.wouldHoldBytes].map(bytesText),
    );
  });
  const titles = [isByWeek ? 'WEEK UNTIL' : 'DAY (UTC)', 'PRUNED', 'FREED', 'IN ALL', 'HELD', 'WOULD HOLD'];
  yield `${tableText(titles, table)}\n\n`;
  yield* repositories.text();
  if (broken.length > 0) {
    const brokenTitles = ['REPOSITORY', 'PULLED', 'GONE (UTC)', 'PULLS', 'FIRST', 'LAST', 'WHY'];
    yield `${tableText(brokenTitles, broken.map(brokenRow))}\n`;
    const more = total.brokenThings - broken.length;
    yield more > 0 ? `… and ${more.toLocaleString('en')} more, with fewer pulls.\n\n` : '\n';
  }
  yield `${total.repositories.toLocaleString('en')} repositories with a policy: ${things(total)} would have gone and freed ${bytesText(total.freedBytes)} in ${total.freedBlobs.toLocaleString('en')} blobs; ${bytesText(total.wouldHoldBytes)} would be held now instead of ${bytesText(total.heldBytes)}.\n`;
  yield total.brokenPulls === 0
    ? 'No pull would have failed.\n'
    : `${total.brokenPulls.toLocaleString('en')} pulls of ${total.brokenThings.toLocaleString('en')} tags and digests would have failed.\n`;
  yield 'Nothing has been removed.\n';
}

function brokenRow(one: Broken): readonly string[] {
  const pulled = one.tag ?? one.digest.slice(0, 'sha256:'.length + 12);
  const because = one.with === undefined ? '' : `with ${one.with}: `;
  return [
    one.repository,
    pulled,
    timeText(one.goneAt),
    String(one.pulls),
    one.days[0]?.day ?? '',
    one.days.at(-1)?.day ?? '',
    because + one.reason,
  ];
}

/** The last day of each week stands for it. */
function weeksOf(days: readonly Day[]): readonly Day[] {
  const weeks: Day[] = [];
  for (let end = days.length; end > 0; end -= 7) {
    const week = days.slice(Math.max(0, end - 7), end);
    const last = week.at(-1);
    if (last === undefined) continue;
    weeks.unshift({
      ...last,
      pruned: week.reduce((sum, { pruned }) => sum + pruned, 0),
      freedBytes: week.reduce((sum, { freedBytes }) => sum + freedBytes, 0),
      freedBlobs: week.reduce((sum, { freedBlobs }) => sum + freedBlobs, 0),
    });
  }
  return weeks;
}

function things({ prunedTags, prunedManifests }: Pick<Total, 'prunedTags' | 'prunedManifests'>): string {
  const tags = `${prunedTags.toLocaleString('en')} tags`;
  return prunedManifests === 0 ? tags : `${tags} and ${prunedManifests.toLocaleString('en')} untagged manifests`;
}

/** The repositories of which most pulls would have failed, or most would have gone. */
class Worst {
  #worst: Repository[] = [];
  #more = 0;

  add(repository: Repository): void {
    if (repository.prunedTags + repository.prunedManifests === 0) return;
    this.#worst.push(repository);
    this.#worst.sort((one, other) => other.brokenPulls - one.brokenPulls || other.freedBytes - one.freedBytes);
    if (this.#worst.length <= shownBroken) return;
    this.#worst.pop();
    this.#more += 1;
  }

  *text(): Generator<string, void, undefined> {
    if (this.#worst.length === 0) return;
    const rows = this.#worst.map((one) => [
      one.repository,
      one.policy,
      String(one.prunedTags),
      String(one.prunedManifests),
      bytesText(one.freedBytes),
      String(one.brokenPulls),
    ]);
    const titles = ['REPOSITORY', 'POLICY', 'TAGS', 'UNTAGGED', 'FREED', 'PULLS BROKEN'];
    yield `${tableText(titles, rows)}\n`;
    yield this.#more > 0 ? `… and ${this.#more.toLocaleString('en')} more repositories.\n\n` : '\n';
  }
}
