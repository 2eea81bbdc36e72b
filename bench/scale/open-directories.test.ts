import { expect, test } from 'bun:test';
import { chmodSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import { TemporaryDirectory } from '../../test/server/temporary-directory.ts';
import { firstClosed } from './open-directories.ts';

test('a directory is closed to other users where one above it is, and that one is told of', () => {
  using parent = new TemporaryDirectory('open-directories');
  const home = path.join(parent.path, 'home');
  const inner = path.join(home, 'project', 'data');
  mkdirSync(inner, { recursive: true });
  for (const one of [parent.path, home]) chmodSync(one, 0o755);
  expect(firstClosed(inner)).toBeUndefined();
  for (const [mode, closed] of [
    [0o700, home],
    [0o711, undefined],
  ] as const) {
    chmodSync(home, mode);
    expect(firstClosed(inner)).toBe(closed);
  }
  chmodSync(inner, 0o700);
  expect(firstClosed(inner)).toBe(inner);
});
