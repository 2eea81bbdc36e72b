import { answerJson, refuse } from '../call.ts';
import { collectorStatus, pauseTheCollector, resumeTheCollector } from './collector.ts';
import { type AdminCall, adminDenial, type Endpoint, type LinesEndpoint } from './endpoint.ts';
import { followEvents, listEvents } from './events.ts';
import { explain } from './explain.ts';
import { findInLayers } from './find.ts';
import { checkEverything } from './fsck.ts';
import { openApiDocument } from './openapi.ts';
import { endLogins } from './logins.ts';
import { addPin, listPins, removePin } from './pins.ts';
import { liftThePurge, listPurges, purgeNow, showPlaces, showPurge } from './purge.ts';
import { planThePurge } from './purge-plan.ts';
import { listQuotas } from './quotas.ts';
import { planTheRetention } from './retention-plan.ts';
import { approvePolicies, resumePruning, retentionStatus } from './retention-control.ts';
import { applyThePlan } from './retention-apply.ts';
import { listUpcoming } from './retention-upcoming.ts';
import { beginReadOnly, endReadOnly, readOnlyStatus, renewTheReadOnly } from './read-only.ts';
import { listRobots, makeRobot, removeRobot, renewRobot } from './robots.ts';
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
  listEvents,
  followEvents,
  usageOfRegistry,
  usageOfPart,
  usageOfParts,
  storageStatus,
  collectorStatus,
  pauseTheCollector,
  resumeTheCollector,
  readOnlyStatus,
  beginReadOnly,
  renewTheReadOnly,
  endReadOnly,
  checkEverything,
  findInLayers,
  planTheRetention,
  retentionStatus,
  approvePolicies,
  resumePruning,
  listUpcoming,
  applyThePlan,
  listQuotas,
  simulateTheRetention,
  listRobots,
  makeRobot,
  renewRobot,
  removeRobot,
  endLogins,
  planThePurge,
  purgeNow,
  liftThePurge,
  listPurges,
  showPurge,
  showPlaces,
];

const endpointsByPath = Map.groupBy(adminEndpoints, ({ path }) => path);

const adminActions = [...new Set(adminEndpoints.map(({ action }) => action))];

/** Answers a request to a path under /admin/. All but the description is for those who may do something here. */
export async function answerAdmin(call: AdminCall, path: string): Promise<Response> {
  const { method } = call.request;
  if (path === `${adminPrefix}/openapi.json` && (method === 'GET' || method === 'HEAD')) {
    return answerJson(call, openApiDocument(adminEndpoints, adminPrefix));
  }
  if (!adminActions.some((action) => call.rights.maySomewhere(action))) return refuse(call, adminDenial(call, 'admin'));
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
