import { expect, test } from 'bun:test';
import { join } from 'node:path';

const projectDirectory = join(import.meta.dir, '..', '..');
const races = Array.from({ length: 50 }, (_, index) => `R${index + 1}`);
/** Those of what is not there yet, and what they come with. */
const laterRaces = new Map([['R11', 'with PostgreSQL and S3']]);

interface ListedRace {
  readonly number: string;
  readonly test: string;
}

async function listedRaces(): Promise<readonly ListedRace[]> {
  const page = await Bun.file(join(import.meta.dir, 'README.md')).text();
  const rows = page.matchAll(/^\| (?<number>R\d+) +\| .*? +\| (?<test>.*?) +\|$/gm);
  return Array.from(rows, ({ groups }) => ({ number: groups?.['number'] ?? '', test: groups?.['test'] ?? '' }));
}

/** The titles of a file's tests that name a race: the text that stands before the test's function. */
function titlesOf(source: string): readonly string[] {
  return [...source.matchAll(/(['"`])(?<title>[^\n]*?\(.*?\bR\d+[^\n]*?)\1,\s+(?:async )?\(/g)].flatMap(
    ({ groups }) => groups?.['title'] ?? [],
  );
}

test('all fifty races are listed, in order', async () => {
  expect((await listedRaces()).map(({ number }) => number)).toEqual(races);
});

test('each race is named in the title of the test that its row leads to, or comes with what it is about', async () => {
  for (const { number, test: cell } of await listedRaces()) {
    const later = laterRaces.get(number);
    if (later !== undefined) {
      expect(cell).toBe(later);
      continue;
    }
    const [, path = '', title = ''] = /^\[(.*?)\]\(.*?\): (.*)$/.exec(cell) ?? [];
    expect(title).toMatch(new RegExp(`\\b${number}\\b`));
    const source = await Bun.file(join(projectDirectory, path)).text();
    expect(titlesOf(source)).toContain(title);
  }
});
