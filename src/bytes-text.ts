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
