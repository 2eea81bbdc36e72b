import { describe, expect, test } from 'bun:test';
import { explore } from './explore.ts';
import { mistakes } from './mutations.ts';

const operations = 10_000;
const withinMs = 600_000;

describe('it would be seen, if', () => {
  test.each(mistakes)(
    '$name',
    async ({ mutation }) => {
      const { failure } = await explore(1, operations, { mutation, shrinks: false });
      expect(failure?.error).toBeInstanceOf(Error);
    },
    withinMs,
  );
});
