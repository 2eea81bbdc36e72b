const bytesPerUnit = new Map([
  ['B', 1],
  ['kB', 1000],
  ['MB', 1000 ** 2],
  ['GB', 1000 ** 3],
  ['KiB', 1024],
  ['MiB', 1024 ** 2],
  ['GiB', 1024 ** 3],
]);

export type ByteSizeResult =
  { readonly ok: true; readonly sizeBytes: number } | { readonly ok: false; readonly problem: string };

/** Parses a number of bytes with its unit: `4MiB`, `4194304B`, `10MB`; 2^53 bytes and more are refused. */
export function parseByteSize(text: string): ByteSizeResult {
  const { count, unit } = /^(?<count>\d+) ?(?<unit>[A-Za-z]*)$/.exec(text)?.groups ?? {};
  if (count === undefined || unit === undefined) return { ok: false, problem: 'this is not a size' };
  if (unit === '') return { ok: false, problem: `add a unit, as in ${count}B or ${count}MiB` };
  const bytes = bytesPerUnit.get(unit);
  if (bytes === undefined) {
    return { ok: false, problem: `"${unit}" is not a unit: there are ${[...bytesPerUnit.keys()].join(', ')}` };
  }
  const sizeBytes = Number(count) * bytes;
  return Number.isSafeInteger(sizeBytes) ? { ok: true, sizeBytes } : { ok: false, problem: 'this is too large' };
}

/** The shortest way to write a whole number of bytes that `parseByteSize` reads back: 10485760 gives `10MiB`. */
export function formatByteSize(sizeBytes: number): string {
  const texts = [...bytesPerUnit].flatMap(([unit, bytes]) =>
    sizeBytes % bytes === 0 ? [`${sizeBytes / bytes}${unit}`] : [],
  );
  return texts.reduce((shortest, text) => (text.length < shortest.length ? text : shortest), `${sizeBytes}B`);
}
