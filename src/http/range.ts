import type { ByteRange } from '../blobs/store.ts';
import { quote } from '../oci/quote.ts';

export type RangeRequest =
  | { readonly kind: 'whole' }
  | { readonly kind: 'part'; readonly range: ByteRange }
  | { readonly kind: 'unsatisfiable'; readonly reason: string };

/**
 * What part of a representation of `sizeBytes` a Range header asks for (RFC 9110, 14.1.2 and 14.2). Units other than
 * bytes are ignored, as the RFC demands; so are several ranges at once, which it allows, as no client of a registry
 * asks for them. A position may have any number of digits: what lies behind the end means the end.
 */
export function parseRange(header: string | null, sizeBytes: number): RangeRequest {
  if (header === null) return { kind: 'whole' };
  const equals = header.indexOf('=');
  if (header.slice(0, equals).trim().toLowerCase() !== 'bytes') return { kind: 'whole' };
  const spec = header.slice(equals + 1).trim();
  if (spec.includes(',')) return { kind: 'whole' };
  const match = /^(\d*)-(\d*)$/.exec(spec);
  const [first = '', last = ''] = match?.slice(1) ?? [];
  if (match === null || (first === '' && last === '')) {
    return {
      kind: 'unsatisfiable',
      reason: `${quote(spec)} is not a range: write bytes=FIRST-LAST, bytes=FIRST- or bytes=-LENGTH`,
    };
  }
  if (first === '') {
    const length = Math.min(Number(last), sizeBytes);
    if (length === 0) return { kind: 'unsatisfiable', reason: 'the range is empty' };
    return { kind: 'part', range: { first: sizeBytes - length, last: sizeBytes - 1 } };
  }
  const start = Number(first);
  const end = last === '' ? sizeBytes - 1 : Math.min(Number(last), sizeBytes - 1);
  if (last !== '' && Number(last) < start) {
    return { kind: 'unsatisfiable', reason: `the range ends before it begins: ${quote(spec)}` };
  }
  if (start >= sizeBytes) {
    return { kind: 'unsatisfiable', reason: `the range begins behind the end of the ${sizeBytes} bytes` };
  }
  return { kind: 'part', range: { first: start, last: end } };
}

export type ContentRange =
  { readonly kind: 'none' } | { readonly kind: 'range'; readonly range: ByteRange } | { readonly kind: 'malformed' };

/**
 * The Content-Range of an upload's chunk: `FIRST-LAST`, both included (specification, "Pushing a blob in chunks"). HTTP's
 * own form, `bytes FIRST-LAST/TOTAL`, is understood too. A position that no blob can have is well formed all the same:
 * its chunk is out of order.
 */
export function parseContentRange(header: string | null): ContentRange {
  if (header === null) return { kind: 'none' };
  const match = /^(?:bytes[ =])?(\d+)-(\d+)(?:\/(?:\d+|\*))?$/.exec(header.trim());
  const first = positionOf(match?.[1]);
  const last = positionOf(match?.[2]);
  if (match === null || last < first) return { kind: 'malformed' };
  return { kind: 'range', range: { first, last } };
}

function positionOf(digits: string | undefined): number {
  return Math.min(Number(digits ?? 'NaN'), Number.MAX_SAFE_INTEGER);
}
