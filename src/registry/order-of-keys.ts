/** Compares keys as the database orders them, which is by UTF-8's bytes: they have none but ASCII characters. */
export function orderOfKeys(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
