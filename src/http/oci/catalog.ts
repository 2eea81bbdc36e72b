import { hasShownNothing } from '../../access/identity.ts';
import { repositoryPage } from '../../registry/listing.ts';
import { answer, answerJson, type Call, refuse } from '../call.ts';
import { unauthenticated } from '../denials.ts';
import { nextLink, pageRequestOf } from './pages.ts';

/**
 * `GET /v2/` (end-1): tells a client that it has found a registry. Clients ask here whether they have to log in, and some
 * show their credentials nowhere else than where they were asked for them here: where one can log in, everybody is asked,
 * also where some things are open to everybody.
 */
export async function ping(call: Call): Promise<Response> {
  const { access, identity } = call;
  if (access.canLogIn && !access.isOpen && hasShownNothing(identity)) return refuse(call, unauthenticated(call));
  return answer(call, 200, { 'content-type': 'application/json' }, '{}');
}

/** `GET /v2/_catalog`: not in the specification, but every client's way to list repositories. */
export async function listCatalog(call: Call): Promise<Response> {
  const request = pageRequestOf(new URLSearchParams(call.queryText));
  if ('code' in request) return refuse(call, request);
  const page = await repositoryPage(call.registry, request);
  const last = page.items.at(-1);
  const next = page.more && last !== undefined ? nextLink('/v2/_catalog', { n: String(request.limit), last }) : {};
  return answerJson(call, { repositories: page.items }, next);
}
