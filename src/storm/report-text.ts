import { hasPassed, type StormReport } from './report.ts';

const shownLosses = 10;

/** A report for a person. */
export function reportText(report: StormReport): string {
  const { seed, seconds, operations, counts, lost, wrong, unanswered } = report;
  const total = operations.reduce((sum, { kind, count }) => sum + (kind.endsWith(', whole') ? 0 : count), 0);
  const lines = [
    ...table([
      ['', 'count', 'p50, ms', 'p99, ms', 'max, ms'],
      ...operations.map(({ kind, count, p50Ms, p99Ms, maxMs }) => [
        kind,
        count.toLocaleString('en'),
        p50Ms.toFixed(1),
        p99Ms.toFixed(1),
        maxMs.toFixed(1),
      ]),
    ]),
    '',
    `${total.toLocaleString('en')} requests in ${seconds.toFixed(0)} s, seed ${seed}`,
    `${megabytes(counts.pushedBytes)} sent, ${megabytes(counts.pulledBytes)} received`,
    `${counts.pushesAcknowledged} pushes and ${counts.deletesAcknowledged} deletes acknowledged, ${counts.deletesRefused} deletes refused`,
    `${counts.imagesPulled} images pulled whole meanwhile, ${counts.imagesVerified} in the end`,
  ];
  if (unanswered.length > 0) lines.push(`${unanswered.length} requests unanswered while the registry was down`);
  if (counts.sessionsLost > 0) lines.push(`${counts.sessionsLost} upload sessions gone with the registry's process`);
  if (counts.pushesExpired > 0) {
    lines.push(`${counts.pushesExpired} pushes refused for what a client had deleted or whose lease was over`);
  }
  if (counts.breakingDeletes > 0) {
    lines.push(`${counts.breakingDeletes} deletes accepted though an image needed what they deleted`);
  }
  for (const { what, count, examples } of wrong) {
    lines.push('', `WRONG, ${count} times: ${what}`);
    for (const { request, expected, got } of examples.slice(0, 2)) lines.push(...exampleLines(request, expected, got));
  }
  for (const { request, expected, got } of lost.slice(0, shownLosses)) {
    lines.push('', 'LOST', ...exampleLines(request, expected, got));
  }
  const wrongCount = wrong.reduce((sum, { count }) => sum + count, 0);
  lines.push(
    '',
    `${lost.length} acknowledged images lost, ${wrongCount} wrong answers: ${hasPassed(report) ? 'passed' : 'FAILED'}`,
  );
  return lines.join('\n');
}

function exampleLines(request: string, expected: string, got: string): readonly string[] {
  return [`  request   ${request}`, `  expected  ${expected}`, `  got       ${got}`];
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(0)} MB`;
}

/** Columns, the first one to the left, the others to the right. */
function table(rows: readonly (readonly string[])[]): readonly string[] {
  const widths = (rows[0] ?? []).map((_title, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart((widths[column] ?? 0) + 2)))
      .join(''),
  );
}
