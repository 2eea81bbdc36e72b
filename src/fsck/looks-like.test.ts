import { expect, test } from 'bun:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { looksLike } from './looks-like.ts';

const json = (value: unknown): Uint8Array => Buffer.from(JSON.stringify(value));
const config = { rootfs: {}, os: 'linux', architecture: 'arm64', created: '2030-01-01T00:00:00Z' };
const tar = Buffer.alloc(1024);
tar.write('ustar', 257);

test.each([
  ['a layer (gzip)', gzipSync('layer')],
  ['a layer (zstd)', zstdCompressSync('layer')],
  ['a layer (tar)', tar],
  ['an index', json({ manifests: [] })],
  ['a manifest', json({ layers: [], config: {} })],
  ['the config of an image (linux/arm64, created 2030-01-01T00:00:00Z)', json(config)],
  ['the config of an image (linux)', json({ ...config, architecture: 'x\n\u001b[31m', created: 5 })],
  ['the config of an image', json({ rootfs: {} })],
  ['JSON', json({ rootfs: 'none' })],
  ['JSON', json([1])],
  ['something else', Buffer.from('{"os":')],
  ['something else', new Uint8Array()],
])('bytes that hold %p are told by their beginning', (words, bytes) => {
  expect(looksLike(bytes, bytes.byteLength)).toBe(words);
});

test('JSON of which only the beginning is there is not judged', () => {
  const bytes = json(config);
  expect(looksLike(bytes, 5 * 1024 * 1024)).toBe('something else');
});
