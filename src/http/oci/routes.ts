import type { Action } from '../../access/action.ts';
import { describeRepositoryNameProblem, parseRepositoryName, type RepositoryName } from '../../oci/names.ts';
import { type Call, refuse } from '../call.ts';
import { denial } from '../denials.ts';
import { deleteBlobOf, getBlob, headBlob } from './blobs.ts';
import { listCatalog, ping } from './catalog.ts';
import { deleteManifestOf, getManifestOf, headManifest, putManifestOf } from './manifests.ts';
import { listReferrers } from './referrers.ts';
import { listTagsOf } from './tags.ts';
import {
  abandonUpload,
  appendChunk,
  finishUpload,
  getUpload,
  isUploadId,
  startUpload,
  uploadUnknown,
} from './uploads.ts';

/** The specification's resources, of the whole registry and of one repository. */
export type RegistryResource = 'ping' | 'catalog';
export type RepositoryResource = 'blob' | 'uploads' | 'upload' | 'manifest' | 'tags' | 'referrers';

type Handler = (call: Call, repo: RepositoryName, last: string) => Promise<Response>;
type RegistryHandler = (call: Call) => Promise<Response>;

/** An endpoint of a repository, and what whoever asks has to be allowed there. */
interface RepositoryEndpoint {
  readonly action: Action;
  readonly respond: Handler;
}

type Methods<Endpoint> = Readonly<Record<string, Endpoint>>;

/** Every endpoint under /v2/ that has no repository in its path. They show nobody what they may not pull. */
export const registryEndpoints: Readonly<Record<RegistryResource, Methods<RegistryHandler>>> = {
  ping: { GET: ping, HEAD: ping },
  catalog: { GET: listCatalog, HEAD: listCatalog },
};

/** Every endpoint of a repository, by resource and method. */
export const repositoryEndpoints: Readonly<Record<RepositoryResource, Methods<RepositoryEndpoint>>> = {
  blob: { GET: to('pull', getBlob), HEAD: to('pull', headBlob), DELETE: to('delete', deleteBlobOf) },
  uploads: { POST: to('push', startUpload) },
  upload: {
    GET: to('push', ofUpload(getUpload)),
    PATCH: to('push', ofUpload(appendChunk)),
    PUT: to('push', ofUpload(finishUpload)),
    DELETE: to('push', ofUpload(abandonUpload)),
  },
  manifest: {
    GET: to('pull', getManifestOf),
    HEAD: to('pull', headManifest),
    PUT: to('push', putManifestOf),
    DELETE: to('delete', deleteManifestOf),
  },
  tags: { GET: to('pull', listTagsOf), HEAD: to('pull', listTagsOf) },
  referrers: { GET: to('pull', listReferrers), HEAD: to('pull', listReferrers) },
};

/** Looks for no session under what is none's name. */
function ofUpload(respond: Handler): Handler {
  return async (call, repo, id) => (isUploadId(id) ? await respond(call, repo, id) : refuse(call, uploadUnknown(id)));
}

function to(action: Action, respond: Handler): RepositoryEndpoint {
  return { action, respond };
}

/** Where a path leads. Names and references are still the client's text. */
export type Target =
  | { readonly scope: 'registry'; readonly resource: RegistryResource }
  | {
      readonly scope: 'repository';
      readonly resource: RepositoryResource;
      readonly repo: string;
      readonly last: string;
    };

/**
 * Finds the resource of a path, from its end, because repository names contain slashes and may even contain the words
 * that separate them from the rest. Written by hand: a general router spends as long on such a path as the rest of a
 * small request takes (ADR 4).
 */
export function targetOf(path: string): Target | undefined {
  if (path === '/v2/' || path === '/v2') return { scope: 'registry', resource: 'ping' };
  if (path === '/v2/_catalog') return { scope: 'registry', resource: 'catalog' };
  if (!path.startsWith('/v2/')) return undefined;
  const lastSlash = path.lastIndexOf('/');
  const last = path.slice(lastSlash + 1);
  const middleSlash = path.lastIndexOf('/', lastSlash - 1);
  if (middleSlash < 4) return undefined;
  const middle = path.slice(middleSlash + 1, lastSlash);
  const repo = path.slice(4, middleSlash);
  switch (middle) {
    case 'manifests':
      return { scope: 'repository', resource: 'manifest', repo, last };
    case 'blobs':
      return last === 'uploads'
        ? { scope: 'repository', resource: 'uploads', repo, last: '' }
        : { scope: 'repository', resource: 'blob', repo, last };
    case 'uploads':
      if (!repo.endsWith('/blobs')) return undefined;
      return {
        scope: 'repository',
        resource: last === '' ? 'uploads' : 'upload',
        repo: repo.slice(0, -'/blobs'.length),
        last,
      };
    case 'tags':
      return last === 'list' ? { scope: 'repository', resource: 'tags', repo, last } : undefined;
    case 'referrers':
      return { scope: 'repository', resource: 'referrers', repo, last };
    default:
      return undefined;
  }
}

/** Answers a request for a target. */
export async function answerTarget(call: Call, target: Target): Promise<Response> {
  const { method } = call.request;
  if (target.scope === 'registry') {
    const endpoints = registryEndpoints[target.resource];
    const handler = Object.hasOwn(endpoints, method) ? endpoints[method] : undefined;
    return handler === undefined ? methodUnsupported(call, endpoints) : await handler(call);
  }
  const endpoints = repositoryEndpoints[target.resource];
  const endpoint = Object.hasOwn(endpoints, method) ? endpoints[method] : undefined;
  if (endpoint === undefined) return methodUnsupported(call, endpoints);
  const repo = parseRepositoryName(target.repo);
  if (repo === undefined) {
    return refuse(call, {
      code: 'NAME_INVALID',
      message: describeRepositoryNameProblem(target.repo),
      detail: { name: target.repo.slice(0, 300) },
    });
  }
  const { action, respond } = endpoint;
  if (!call.rights.may(action, repo)) return refuse(call, denial(call, action, repo));
  return await respond(call, repo, target.last);
}

function methodUnsupported(call: Call, endpoints: Readonly<Record<string, unknown>>): Response {
  const allow = Object.keys(endpoints).join(', ');
  return refuse(call, {
    code: 'UNSUPPORTED',
    message: `${call.request.method} is not possible here, only ${allow}`,
    detail: { method: call.request.method, allow },
    headers: { allow },
  });
}
