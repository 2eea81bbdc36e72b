/** Something that was measured, and what it has to reach. */
export interface Bar {
  readonly what: string;
  readonly figures: readonly string[];
  /** Undefined where it could not be measured. */
  readonly is: number | undefined;
  readonly limit: number;
  readonly better: 'higher' | 'lower';
  readonly unit: string;
}

/** Whether it was measured, and is not what it has to be. */
export function isMissed({ is, limit, better }: Bar): boolean {
  return is !== undefined && (better === 'higher' ? is < limit : is > limit);
}

/** Every bar as a row of a Markdown table. */
export function barTable(columns: readonly string[], bars: readonly Bar[]): string {
  const rows = bars.map((bar) => [
    bar.what,
    ...bar.figures,
    bar.is === undefined ? 'not measured' : `${bar.is.toFixed(2)}${bar.unit}`,
    `${bar.better === 'higher' ? '≥' : '≤'} ${bar.limit}${bar.unit}`,
    isMissed(bar) ? 'NO' : bar.is === undefined ? '' : 'yes',
  ]);
  const all = [['', ...columns, 'is', 'bar', 'reached'], ...rows];
  const widths = (all[0] ?? []).map((_title, column) => Math.max(4, ...all.map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]): string =>
    `| ${row.map((cell, at) => (at === 0 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0))).join(' | ')} |`;
  const rule = widths.map((width, at) => (at === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`));
  const [header = [], ...body] = all;
  return [header, rule, ...body].map(line).join('\n');
}
