import { expect, test } from 'bun:test';
import type { Finding, Repair } from './finding.ts';
import { RepairRound } from './repair-round.ts';

const leak = { code: 'F2', severity: 'leak', about: '', message: '', advice: '' } as const;
const adoption: Finding = {
  ...leak,
  isToBeAdopted: true,
  repair: { kind: 'adopt-bytes', oid: '', digest: '', sizeBytes: 0, looks: '' },
};
const unreadable: Finding = { ...leak, isToBeAdopted: true };
const outdated: Finding = { ...leak, code: 'F14', repair: { kind: 'settle-generation', generation: 1 } };
const stray: Finding = { ...leak, repair: { kind: 'remove-stray', place: '' } };

/** What is repaired of some findings, where one kind of repair cannot be made. */
async function repaired(findings: readonly Finding[], failing?: Repair['kind']): Promise<readonly boolean[]> {
  const round = new RepairRound(async ({ kind }) => kind !== failing);
  const made: boolean[] = [];
  for (const finding of findings) made.push((await round.report(finding)).isRepaired);
  return made;
}

test('an older database is accepted once all that it has to know has been adopted', async () => {
  expect(await repaired([adoption, adoption, outdated])).toEqual([true, true, true]);
  expect(await repaired([adoption, outdated], 'adopt-bytes')).toEqual([false, false]);
  expect(await repaired([unreadable, adoption, outdated])).toEqual([false, true, false]);
});

test('nothing is removed beside an older database, whether it is accepted or not', async () => {
  expect(await repaired([outdated, stray])).toEqual([true, false]);
  expect(await repaired([outdated, stray], 'settle-generation')).toEqual([false, false]);
  expect(await repaired([stray])).toEqual([true]);
});
