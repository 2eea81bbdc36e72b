const units = ['KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

/** A number of bytes for a person: `0 B`, `999 B`, `1.5 KiB`, `12 GiB`. */
export function bytesText(bytes: number): string {
  let [size, unit] = [bytes, 'B'];
  for (const larger of units) {
    if (size < 1024) break;
    [size, unit] = [size / 1024, larger];
  }
  return `${unit === 'B' || size >= 10 ? Math.round(size) : size.toFixed(1)} ${unit}`;
}

/** A time for a person, in UTC: `2030-01-31 12:00:00`. */
export function timeText(iso: string): string {
  return `${iso.slice(0, 10)} ${iso.slice(11, 19)}`;
}

/** Rows under their titles, in columns; those named like a size stand on the right. */
export function tableText(titles: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [titles, ...rows];
  const widths = titles.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
  const isNumber = titles.map(
    (_, column) => rows.length > 0 && rows.every((row) => /^[\d.]+ ?[KMGTP]?i?B?$/.test(row[column] ?? '')),
  );
  return lines
    .map((line) =>
      line
        .map((cell, column) =>
          isNumber[column] === true ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0),
        )
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
