import { describe, expect, test } from 'bun:test';
import * as fc from 'fast-check';
import { parseContentRange, parseRange } from './range.ts';

describe('a Range', () => {
  test.each([
    ['bytes=0-0', 0, 0],
    ['bytes=2-5', 2, 5],
    ['bytes=2-', 2, 9],
    ['bytes=-3', 7, 9],
    ['bytes=-30', 0, 9],
    ['bytes=5-99', 5, 9],
    ['Bytes = 1-2', 1, 2],
    // What clients send that mean "to the end": the largest numbers of 64 bits, and more.
    ['bytes=0-9223372036854775807', 0, 9],
    ['bytes=4-18446744073709551615', 4, 9],
    ['bytes=-99999999999999999999', 0, 9],
  ])('%p asks for a part of ten bytes', (header, first, last) => {
    expect(parseRange(header, 10)).toEqual({ kind: 'part', range: { first, last } });
  });

  test.each([null, 'lines=1-2', 'bytes=0-1,3-4', '0-1'])('%p asks for the whole', (header) => {
    expect(parseRange(header, 10)).toEqual({ kind: 'whole' });
  });

  test.each([
    'bytes=10-',
    'bytes=10-12',
    'bytes=18446744073709551615-',
    'bytes=5-4',
    'bytes=-0',
    'bytes=-',
    'bytes=',
    'bytes=a-b',
    'bytes=1-2-3',
  ])('%p cannot be satisfied', (header) => {
    expect(parseRange(header, 10).kind).toBe('unsatisfiable');
  });

  test('may end or begin at more than any number', () => {
    const endless = '9'.repeat(400);
    expect(parseRange(`bytes=3-${endless}`, 10)).toEqual({ kind: 'part', range: { first: 3, last: 9 } });
    expect(parseRange(`bytes=${endless}-${endless}`, 10).kind).toBe('unsatisfiable');
    const { MAX_SAFE_INTEGER: most } = Number;
    const upload = parseContentRange(`bytes ${endless}-${endless}/${endless}`);
    expect(upload).toEqual({ kind: 'range', range: { first: most, last: most } });
  });

  test('can never be satisfied by nothing', () => {
    for (const header of ['bytes=0-', 'bytes=0-0', 'bytes=-1']) {
      expect(parseRange(header, 0).kind).toBe('unsatisfiable');
    }
  });

  test('never asks for a byte that is not there', () => {
    const end = fc.oneof(fc.nat(30).map(String), fc.constant(''), fc.string());
    fc.assert(
      fc.property(end, end, fc.nat(20), (first, last, sizeBytes) => {
        const wanted = parseRange(`bytes=${first}-${last}`, sizeBytes);
        if (wanted.kind !== 'part') return;
        expect(wanted.range.first).toBeWithin(0, wanted.range.last + 1);
        expect(wanted.range.last).toBeLessThan(sizeBytes);
      }),
    );
  });
});

describe('a Content-Range', () => {
  test.each(['0-9', 'bytes 0-9/10', 'bytes 0-9/*', 'bytes=0-9', ' 0-9 '])('%p is the first ten bytes', (header) => {
    expect(parseContentRange(header)).toEqual({ kind: 'range', range: { first: 0, last: 9 } });
  });

  test.each(['', '9-0', '-9', '0-', 'bytes */10', '0-9-10', 'x', '1e3-2e3'])('%p is malformed', (header) => {
    expect(parseContentRange(header)).toEqual({ kind: 'malformed' });
  });

  test.each([
    ['0-9223372036854775807', 0],
    ['18446744073709551615-18446744073709551616/*', Number.MAX_SAFE_INTEGER],
  ])('%p is a range, of which no more is asked than what a number can hold', (header, first) => {
    expect(parseContentRange(header)).toEqual({ kind: 'range', range: { first, last: Number.MAX_SAFE_INTEGER } });
  });

  test('need not be there', () => {
    expect(parseContentRange(null)).toEqual({ kind: 'none' });
  });
});
