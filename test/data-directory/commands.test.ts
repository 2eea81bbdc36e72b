import { expect, test } from 'bun:test';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { wherry } from '../admin/wherry.ts';

test('a directory without a registry is left as it is, and the command says so', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'wherry-commands-'));
  try {
    const { out, err, code } = await wherry(directory, 'trash', 'list');
    expect([out, code]).toEqual(['', 1]);
    expect(err).toBe(
      `wherry: there is no registry in ${directory}: name its data directory with --data, or where its metadata is in PostgreSQL the configuration (--config, or WHERRY_METADATA)\n`,
    );
    expect(Array.from(new Bun.Glob('*').scanSync(directory))).toEqual([]);
  } finally {
    await rm(directory, { recursive: true });
  }
});

test('wherry find without a registry says that there is none, and ends with 2', async () => {
  const { err, code } = await wherry(join(import.meta.dir, 'nowhere'), 'find', '.env');
  expect(err).toStartWith('wherry: there is no registry in ');
  expect(code).toBe(2);
});
