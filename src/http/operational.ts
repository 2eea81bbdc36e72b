import type { Metrics } from '../metrics/metrics.ts';
import { answer, type Call, refuse } from './call.ts';

/** The endpoints for those who operate the registry: /healthz, /readyz and /metrics; anything else is not here. */
export async function answerOperational(
  call: Call,
  path: string,
  metrics: Metrics,
): Promise<{ readonly route: string; readonly response: Response }> {
  const { method } = call.request;
  const isRead = method === 'GET' || method === 'HEAD';
  if (isRead && path === '/healthz') return { route: 'healthz', response: plain(call, 200, 'ok\n') };
  if (isRead && path === '/readyz') return { route: 'readyz', response: await readiness(call) };
  if (isRead && path === '/metrics') {
    const { contentType, text } = await metrics.text();
    return { route: 'metrics', response: answer(call, 200, { 'content-type': contentType }, text) };
  }
  return {
    route: 'unknown',
    response: refuse(call, {
      code: 'UNSUPPORTED',
      status: 404,
      message: 'there is nothing at this path: the registry answers under /v2/, and /healthz, /readyz and /metrics',
      detail: { path: path.slice(0, 300) },
    }),
  };
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
