export { bytesText } from '../bytes-text.ts';

/** A time for a person, in UTC: `2030-01-31 12:00:00`. */
export function timeText(iso: string): string {
  return `${iso.slice(0, 10)} ${iso.slice(11, 19)}`;
}

/** Rows under their titles, in columns; those that hold sizes stand on the right. */
export function tableText(titles: readonly string[], rows: readonly (readonly string[])[]): string {
  return new Table(titles).page(rows);
}

/**
 * A table that is made a page at a time. Its columns are as wide as what has come so far: where a later page needs more,
 * they grow from there on.
 */
export class Table {
  readonly #titles: readonly string[];
  #widths: readonly number[] = [];
  #areSizes: readonly boolean[] = [];
  #isEmpty = true;

  constructor(titles: readonly string[]) {
    this.#titles = titles;
  }

  /** Whether no page has been made. */
  get isEmpty(): boolean {
    return this.#isEmpty;
  }

  /** The next rows, under the titles if they are the first. */
  page(rows: readonly (readonly string[])[]): string {
    const lines = this.#isEmpty ? [this.#titles, ...rows] : rows;
    if (this.#isEmpty) {
      this.#areSizes = this.#titles.map(
        (_, column) => rows.length > 0 && rows.every((row) => /^[\d.]+ ?[KMGTP]?i?B?$/.test(row[column] ?? '')),
      );
    }
    this.#isEmpty = false;
    this.#widths = this.#titles.map((_, column) =>
      Math.max(this.#widths[column] ?? 0, ...lines.map((line) => line[column]?.length ?? 0)),
    );
    return lines.map((line) => this.#lineText(line)).join('\n');
  }

  #lineText(line: readonly string[]): string {
    const cells = line.map((cell, column) => {
      const width = this.#widths[column] ?? 0;
      return this.#areSizes[column] === true ? cell.padStart(width) : cell.padEnd(width);
    });
    return cells.join('  ').trimEnd();
  }
}
