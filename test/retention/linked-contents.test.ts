import { expect, test } from 'bun:test';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { digestOf, type Digest, parseDigest } from '../../src/oci/digest.ts';
import { forgetStoresBeside, openMetadata, storesBeside } from '../pairs/stores-beside.ts';
import { readLinkedContents } from '../../src/pruning/linked-contents.ts';

function digest(number: number): Digest {
  return digestOf(number % 2 === 0 ? 'sha256' : 'sha512', new TextEncoder().encode(String(number)));
}

const firstAndLast = ['0', 'f'].flatMap((digit) => parseDigest(`sha256:${digit.repeat(64)}`) ?? []);

test('every content in several repositories is found among many, and hardly any other is taken for one', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'wherry-linked-'));
  try {
    const metadata = await openMetadata(directory);
    const count = 30_000;
    const isInSeveral = (number: number): boolean => number % 101 === 0;
    const links = Array.from({ length: count }, (_, number) =>
      (isInSeveral(number) ? ['a', 'b', 'c'] : ['a']).map((repo) => `('${repo}', '${digest(number)}', 0, 0)`),
    ).flat();
    for (const first of firstAndLast) for (const repo of ['a', 'b']) links.push(`('${repo}', '${first}', 0, 0)`);
    const insert = `insert into link (repo, digest, lease_until, created_at) values ${links.join(', ')}`;
    storesBeside(directory).tables.change(insert);
    const linked = await readLinkedContents(metadata);
    expect(firstAndLast.every((one) => linked.mayBeInSeveral(one))).toBe(true);
    let taken = 0;
    for (let number = 0; number < count; number += 1) {
      if (isInSeveral(number))
        expect({ number, may: linked.mayBeInSeveral(digest(number)) }).toEqual({ number, may: true });
      else if (linked.mayBeInSeveral(digest(number))) taken += 1;
    }
    expect(taken).toBeLessThan(count / 1000);
    await metadata.close();
    forgetStoresBeside(directory);
  } finally {
    await rm(directory, { recursive: true });
  }
});
