import type { PageRequest } from '../../registry/listing.ts';
import type { Problem } from '../errors.ts';

/** Items on a page at most, and where the client names no number. */
export const maxPageItems = 10_000;

/** `n` and `last` of a listing (specification, "Listing Tags"): zero is an empty page, more than the most is the most. */
export function pageRequestOf(query: URLSearchParams): PageRequest | Problem {
  const text = query.get('n');
  if (text !== null && !/^\d{1,15}$/.test(text)) {
    return {
      code: 'UNSUPPORTED',
      status: 400,
      message: `n must be a number of items, 0 or more, not "${text.slice(0, 50)}"`,
      detail: { n: text.slice(0, 50) },
    };
  }
  return {
    last: query.get('last') ?? '',
    limit: text === null ? maxPageItems : Math.min(Number(text), maxPageItems),
  };
}

/** The Link header that leads to the next page (RFC 5988). */
export function nextLink(path: string, parameters: Readonly<Record<string, string>>): Record<string, string> {
  return { link: `<${path}?${new URLSearchParams(parameters).toString()}>; rel="next"` };
}
