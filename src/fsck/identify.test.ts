import { expect, test } from 'bun:test';
import { createHash } from 'node:crypto';
import { identify } from './identify.ts';

test('an object is told by all of its bytes and looked at by its first, though pieces are written over', async () => {
  const config = Buffer.from(JSON.stringify({ rootfs: {}, os: 'linux' }));
  const half = Math.ceil(config.byteLength / 2);
  const shared = new Uint8Array(half);
  async function* read(): AsyncGenerator<Uint8Array, void, undefined> {
    for (const piece of [config.subarray(0, half), config.subarray(half)]) {
      shared.set(piece);
      yield shared.subarray(0, piece.byteLength);
    }
  }
  const bytes = { sizeOf: async () => config.byteLength, read };
  expect(await identify(bytes, 'ab'.repeat(16))).toEqual({
    digest: `sha256:${createHash('sha256').update(config).digest('hex')}`,
    sizeBytes: config.byteLength,
    looks: 'the config of an image (linux)',
  });
  expect(await identify({ ...bytes, sizeOf: async () => undefined }, 'ab'.repeat(16))).toBeUndefined();
});
