import { describe, expect, test } from 'bun:test';
import { randomBytes } from 'node:crypto';
import { PartBuffer } from './part-buffer.ts';

describe('a buffer', () => {
  test('takes chunks up to its capacity, and gives the rest back', () => {
    const buffer = new PartBuffer(10);
    expect(buffer.take(Buffer.from('12345')).byteLength).toBe(0);
    expect(Buffer.from(buffer.take(Buffer.from('6789012345'))).toString()).toBe('12345');
    expect(Buffer.from(buffer.bytes()).toString()).toBe('1234567890');
    expect(buffer.take(Buffer.from('more')).byteLength).toBe(4);
  });

  test('keeps each byte in its place while it grows', () => {
    const chunks = [1, 65_536, 10, 300_000, 70_000].map((size) => randomBytes(size));
    const buffer = new PartBuffer(1_000_000);
    for (const chunk of chunks) buffer.take(chunk);
    expect(Buffer.from(buffer.bytes()).equals(Buffer.concat(chunks))).toBe(true);
    expect(buffer.size).toBe(435_547);
  });

  test('does not see what becomes of a chunk afterwards', () => {
    const buffer = new PartBuffer(10);
    const chunk = Buffer.from('bytes');
    buffer.take(chunk);
    chunk.fill(0);
    expect(Buffer.from(buffer.bytes()).toString()).toBe('bytes');
  });
});
