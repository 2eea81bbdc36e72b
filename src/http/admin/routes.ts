import { createHash, timingSafeEqual } from 'node:crypto';
import { answerJson, refuse } from '../call.ts';
import { collectorStatus, pauseTheCollector, resumeTheCollector } from './collector.ts';
import type { AdminCall, Endpoint, LinesEndpoint } from './endpoint.ts';
import { explain } from './explain.ts';
import { checkEverything } from './fsck.ts';
import { openApiDocument } from './openapi.ts';
import { addPin, listPins, removePin } from './pins.ts';
import { listQuotas } from './quotas.ts';
import { planTheRetention } from './retention-plan.ts';
import { approvePolicies, resumePruning, retentionStatus } from './retention-control.ts';
import { applyThePlan } from './retention-apply.ts';
import { listUpcoming } from './retention-upcoming.ts';
import { simulateTheRetention } from './retention-simulate.ts';
import { storageStatus } from './status.ts';
import { emptyTheTrash, listTrash, restoreFromTrash } from './trash.ts';
import { usageOfPart, usageOfParts, usageOfRegistry } from './usage.ts';

export const adminPrefix = '/admin/v1';

/** Every endpoint of the admin API. */
export const adminEndpoints: readonly (Endpoint | LinesEndpoint)[] = [
  listTrash,
  restoreFromTrash,
  emptyTheTrash,
  listPins,
  addPin,
  removePin,
  explain,
  usageOfRegistry,
  usageOfPart,
  usageOfParts,
  storageStatus,
  collectorStatus,
  pauseTheCollector,
  resumeTheCollector,
  checkEverything,
  planTheRetention,
  retentionStatus,
  approvePolicies,
  resumePruning,
  listUpcoming,
  applyThePlan,
  listQuotas,
  simulateTheRetention,
];

const endpointsByPath = Map.groupBy(adminEndpoints, ({ path }) => path);

/** Answers a request to a path under /admin/. All but the description needs the token. */
export async function answerAdmin(call: AdminCall, path: string): Promise<Response> {
  const { method } = call.request;
  if (path === `${adminPrefix}/openapi.json` && (method === 'GET' || method === 'HEAD')) {
    return answerJson(call, openApiDocument(adminEndpoints, adminPrefix));
  }
  if (!knowsToken(call)) {
    return refuse(call, {
      code: 'UNAUTHORIZED',
      message:
        'the admin API needs the token in the file admin.token of the data directory, as "Authorization: Bearer TOKEN"',
      headers: { 'www-authenticate': 'Bearer realm="wherry admin"' },
    });
  }
  const endpoints = path.startsWith(adminPrefix) ? endpointsByPath.get(path.slice(adminPrefix.length)) : undefined;
  if (endpoints === undefined) {
    return refuse(call, {
      code: 'UNSUPPORTED',
      status: 404,
      message: `there is nothing at this path: ${adminPrefix}/openapi.json describes the admin API`,
      detail: { path: path.slice(0, 300) },
    });
  }
  const found = endpoints.find((endpoint) => endpoint.method === method);
  if (found !== undefined) return await found.respond(call);
  const allow = endpoints.map((endpoint) => endpoint.method).join(', ');
  return refuse(call, {
    code: 'UNSUPPORTED',
    message: `${method} is not possible here, only ${allow}`,
    detail: { method, allow },
    headers: { allow },
  });
}

/** Compares digests, so that the time that it takes tells nothing of the token. */
function knowsToken({ request, admin }: AdminCall): boolean {
  const given = /^Bearer (?<token>\S+)$/i.exec(request.headers.get('authorization') ?? '')?.groups?.['token'];
  return given !== undefined && timingSafeEqual(sha256(given), sha256(admin.token));
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
