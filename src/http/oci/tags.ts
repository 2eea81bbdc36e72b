import type { RepositoryName } from '../../oci/names.ts';
import { tagPage } from '../../registry/listing.ts';
import { answerJson, type Call, refuse } from '../call.ts';
import { nextLink, pageRequestOf } from './pages.ts';

/** `GET /v2/<name>/tags/list` (end-8a, end-8b). */
export async function listTagsOf(call: Call, repo: RepositoryName): Promise<Response> {
  const request = pageRequestOf(new URLSearchParams(call.queryText));
  if ('code' in request) return refuse(call, request);
  const page = await tagPage(call.registry, repo, request);
  if (page === undefined) {
    return refuse(call, {
      code: 'NAME_UNKNOWN',
      message: `there is no repository ${repo}; it comes into being with the first push`,
      detail: { repository: repo },
    });
  }
  const last = page.items.at(-1);
  const next =
    page.more && last !== undefined ? nextLink(`/v2/${repo}/tags/list`, { n: String(request.limit), last }) : {};
  return answerJson(call, { name: repo, tags: page.items }, next);
}
