import { describe, expect, test } from 'bun:test';
import { check } from './check.ts';
import { type SeededBug, seededBugs } from './seeded-bugs.ts';
import { purgedWorlds, worlds } from './worlds.ts';

const withinMs = 600_000;
/** Each mistake shows within so many states of some world; most show within far fewer. */
const statesUntilSeen = [2000, 25_000];

describe('in whatever order the steps of the protocol come, nothing is lost and nothing stays, with', () => {
  test.each([...worlds, ...purgedWorlds])(
    '$name',
    (world) => {
      const { states, depth, areAll, wrong } = check(world);
      console.log(`${states} states, ${depth} steps deep`);
      expect(wrong).toBeUndefined();
      expect(areAll).toBe(true);
    },
    withinMs,
  );
});

describe('it would be found, if', () => {
  test.each(Object.entries(seededBugs))(
    '%s: %s',
    (bug) => {
      const isFound = statesUntilSeen.some((states) =>
        [...worlds, ...purgedWorlds].some((world) => check(world, [seededBug(bug)], states).wrong !== undefined),
      );
      expect(isFound).toBe(true);
    },
    withinMs,
  );
});

function seededBug(name: string): SeededBug {
  const isOne = (text: string): text is SeededBug => text in seededBugs;
  if (!isOne(name)) throw new Error(`${name} is no mistake that is known`);
  return name;
}
