import { type FigureName, figures, median, type Samples, timesBetter } from './figures.ts';

/** What the bench found out about one registry. */
export interface Column {
  readonly name: string;
  readonly samples: Samples;
}

const figureNames = Object.keys(figures).filter((name): name is FigureName => name in figures);

/** One number of the table; a trailing `×` factor says how many times better the first column is. */
function cell(name: FigureName, column: Column, ours: Column | undefined): string {
  const value = median(column.samples.get(name) ?? []);
  if (value === undefined) return '–';
  const shown = value.toLocaleString('en', {
    minimumFractionDigits: figures[name].digits,
    maximumFractionDigits: figures[name].digits,
  });
  const reference = ours === undefined || ours === column ? undefined : median(ours.samples.get(name) ?? []);
  if (reference === undefined) return shown;
  return `${shown} (${timesBetter(figures[name], reference, value).toFixed(2)}×)`;
}

/**
 * The medians of all rounds side by side, as a Markdown table.
 *
 * In the columns after the first, the factor in parentheses says how many times better the first one did.
 */
export function sideBySide(columns: readonly Column[]): string {
  const [ours] = columns;
  const rows = figureNames
    .filter((name) => columns.some((column) => column.samples.has(name)))
    .map((name): readonly string[] => {
      const title: string = figures[name].title;
      return [title].concat(columns.map((column) => cell(name, column, ours)));
    });
  const table = [['', ...columns.map((column) => column.name)], ...rows];
  const widths = ['', ...columns].map((_unused, index) => Math.max(...table.map((row) => row[index]?.length ?? 0), 4));
  const line = (row: readonly string[]): string =>
    `| ${row.map((text, index) => (index === 0 ? text.padEnd(widths[0] ?? 0) : text.padStart(widths[index] ?? 0))).join(' | ')} |`;
  const [header = [], ...body] = table;
  const rule = widths.map((width, index) => (index === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`));
  return [header, rule, ...body].map(line).join('\n');
}
