import { forCatalog, hasShownNothing } from '../../access/identity.ts';
import { sealedMark } from '../../access/sealed-places.ts';
import { repositoryPage } from '../../registry/listing.ts';
import { answer, answerJson, type Call, refuse } from '../call.ts';
import { catalogDenial, unauthenticated } from '../denials.ts';
import { nextLink, pageRequestOf } from './pages.ts';
import { sightOf } from './sight.ts';

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

/**
 * `GET /v2/_catalog`: not in the specification, but every client's way to list repositories. It has those that whoever asks
 * may pull from. A page may have fewer than asked for, or none, and lead to another: so much is looked at for one.
 */
export async function listCatalog(call: Call): Promise<Response> {
  const { identity, access } = call;
  if (identity.grants !== undefined && identity.seesCatalog !== true) return refuse(call, catalogDenial(call));
  const rights = access.rightsOf(forCatalog(identity));
  if (!rights.maySomewhere('pull') && hasShownNothing(identity) && access.canLogIn) {
    return refuse(call, unauthenticated(call, 'catalog'));
  }
  const request = pageRequestOf(new URLSearchParams(call.queryText));
  if ('code' in request) return refuse(call, request);
  const last = request.last.startsWith(sealedMark) ? access.places.unseal(request.last) : request.last;
  if (last === undefined) {
    return refuse(call, {
      code: 'UNSUPPORTED',
      status: 400,
      message: 'this list cannot be gone on with, as the registry was started anew meanwhile: begin it again',
      detail: { last: request.last.slice(0, 100) },
    });
  }
  const { items, reached } = await repositoryPage(
    call.registry,
    { last, limit: request.limit },
    rights.mayEverywhere('pull') ? undefined : sightOf(rights),
  );
  if (reached === undefined) return answerJson(call, { repositories: items });
  // A name that may not be seen leaves in a form that tells nothing of it.
  const shown = reached === items.at(-1) ? reached : access.places.seal(reached);
  return answerJson(call, { repositories: items }, nextLink('/v2/_catalog', { n: String(request.limit), last: shown }));
}
