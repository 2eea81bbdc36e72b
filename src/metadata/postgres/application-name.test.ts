import { expect, test } from 'bun:test';
import { applicationNames, schemaInName } from './application-name.ts';

test('a connection says which schema its process knows, unless it is of a version that did not, or no registry', () => {
  const newest = schemaInName(applicationNames.usual);
  expect(newest).toBeGreaterThanOrEqual(23);
  expect(schemaInName(applicationNames.listening)).toBe(newest);
  expect(schemaInName('wherry')).toBe(0);
  expect(schemaInName('wherry (listening)')).toBe(0);
  expect(schemaInName('wherry migrate')).toBeUndefined();
  expect(schemaInName('psql')).toBeUndefined();
});
