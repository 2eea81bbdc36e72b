import { expect, test } from 'bun:test';
import { numbered } from './records.ts';

test('statements for all databases get the parameters of PostgreSQL', () => {
  expect(numbered('a = ? and b in (?, ?)')).toBe('a = $1 and b in ($2, $3)');
  expect(numbered('a = ?2 and b = ?1 or c = ?2')).toBe('a = $2 and b = $1 or c = $2');
});
