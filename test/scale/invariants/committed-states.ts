import type { Beside } from './beside.ts';
import { brokenRows } from './broken-rows.ts';
import type { Findings } from './findings.ts';

/** Looks at one committed state of a registry's rows as a whole (I2–I6, I9, I11). */
export async function lookAtRows(beside: Beside, findings: Findings): Promise<void> {
  await beside.inOneState(async () => {
    for (const { invariant, words, sql } of brokenRows) {
      for (const row of await beside.words(sql)) findings.found({ invariant, words: `${words}: ${row}` });
    }
  });
  for (const invariant of new Set(brokenRows.map((each) => each.invariant))) findings.looked(invariant);
}
