import type { PageRequest } from '../../registry/listing.ts';
import { hasNul } from '../../nul.ts';
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
  const last = query.get('last') ?? '';
  if (hasNul(last)) return nulProblem('last');
  return {
    last,
    limit: text === null ? maxPageItems : Math.min(Number(text), maxPageItems),
  };
}

/** What a client is told of a parameter that no database can look for. */
export function nulProblem(parameter: string): Problem {
  return {
    code: 'UNSUPPORTED',
    status: 400,
    message: `${parameter} has a NUL character (%00) in it, which is in no name: leave it out`,
    detail: { parameter },
  };
}

/** The Link header that leads to the next page (RFC 5988). */
export function nextLink(path: string, parameters: Readonly<Record<string, string>>): Record<string, string> {
  return { link: `<${path}?${new URLSearchParams(parameters).toString()}>; rel="next"` };
}
