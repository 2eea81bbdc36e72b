import type { Action } from '../access/action.ts';
import type { Metrics } from '../metrics/metrics.ts';
import { answer, type Call, refuse } from './call.ts';

/** The endpoints for those who operate the registry; `unknown` is whatever is nowhere else. */
export type OperationalResource = 'healthz' | 'readyz' | 'metrics' | 'unknown';

export interface OperationalState {
  readonly metrics: Metrics;
  /** Why nothing but a restart helps; undefined where none is needed. */
  readonly brokenBecause: string | undefined;
}

/** An endpoint for those who operate the registry, and what whoever asks has to be allowed in every repository. */
interface OperationalEndpoint {
  readonly resource: Exclude<OperationalResource, 'unknown'>;
  /** `everybody`: it tells nothing of what the registry holds. */
  readonly isFor: Action | 'everybody';
}

/** Every such endpoint, by its path. */
export const operationalEndpoints: Readonly<Record<string, OperationalEndpoint>> = {
  '/healthz': { resource: 'healthz', isFor: 'everybody' },
  '/readyz': { resource: 'readyz', isFor: 'everybody' },
  '/metrics': { resource: 'metrics', isFor: 'admin' },
};

export function operationalResourceOf(method: string, path: string): OperationalResource {
  if ((method !== 'GET' && method !== 'HEAD') || !Object.hasOwn(operationalEndpoints, path)) return 'unknown';
  return operationalEndpoints[path]?.resource ?? 'unknown';
}

/** What whoever asks for one has to be allowed in every repository; undefined for what is for everybody. */
export function actionFor(resource: OperationalResource): Action | undefined {
  const isFor = Object.values(operationalEndpoints).find((one) => one.resource === resource)?.isFor ?? 'everybody';
  return isFor === 'everybody' ? undefined : isFor;
}

/** Answers /healthz, /readyz and /metrics; anything else is not here. */
export async function answerOperational(
  call: Call,
  path: string,
  resource: OperationalResource,
  { metrics, brokenBecause }: OperationalState,
): Promise<Response> {
  switch (resource) {
    case 'healthz':
      return brokenBecause === undefined ? plain(call, 200, 'ok\n') : plain(call, 503, `${brokenBecause}\n`);
    case 'readyz':
      return await readiness(call);
    case 'metrics': {
      const { contentType, text } = await metrics.text();
      return answer(call, 200, { 'content-type': contentType }, text);
    }
    case 'unknown':
      return refuse(call, {
        code: 'UNSUPPORTED',
        status: 404,
        message: 'there is nothing at this path: the registry answers under /v2/, and /healthz, /readyz and /metrics',
        detail: { path: path.slice(0, 300) },
      });
  }
}

/** Ready is a registry whose two stores answer. */
async function readiness(call: Call): Promise<Response> {
  const [metadata, blobs] = await Promise.all([call.registry.metadata.isReady(), call.registry.blobs.isReady()]);
  if (metadata && blobs) return plain(call, 200, 'ready\n');
  return plain(call, 503, `not ready: the ${metadata ? 'blob' : 'metadata'} store does not answer\n`);
}

function plain(call: Call, status: number, text: string): Response {
  return answer(call, status, { 'content-type': 'text/plain; charset=utf-8' }, text);
}
