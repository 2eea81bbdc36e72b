import type { Problem } from './errors.ts';

/**
 * Whether a browser says that a page of another site has it send a request that may change something (Fetch Metadata). It
 * would add the credentials of whoever has logged in with it.
 */
export function isSentByAnotherSite({ method, headers }: Request): boolean {
  if (method === 'GET' || method === 'HEAD') return false;
  const site = headers.get('sec-fetch-site');
  return site === 'cross-site' || site === 'same-site';
}

export const otherSiteProblem: Problem = {
  code: 'DENIED',
  message: 'the registry takes nothing that a page of another site has a browser send',
};
