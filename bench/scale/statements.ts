import { mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { createLog } from '../../src/log/log.ts';
import { startServer } from '../../src/server/server.ts';
import { digestOf, freshBytes, imageOf, ociManifest } from '../../test/http/content.ts';
import { configFrom } from '../../test/server/config-from.ts';
import { CountedMetadata, type Work } from '../collect/counted-metadata.ts';

/** What one request does in the database: the operations are the same on both. */
export interface RequestWork extends Pick<Work, 'statements' | 'writes'> {
  readonly request: string;
}

/**
 * Counts the statements of the requests that an image is pushed and pulled with.
 * @param places the settings of where the registry is, if not on SQLite and in a directory
 */
export async function statementsPerRequest(
  parent: string,
  places: Readonly<Record<string, string>> = {},
): Promise<readonly RequestWork[]> {
  const data = mkdtempSync(path.join(parent, 'statements-'));
  let counted: CountedMetadata | undefined;
  const server = await startServer({
    config: await configFrom({ data, listen: '127.0.0.1:0', ...places }),
    log: await createLog({ level: 'error', format: 'json' }),
    wrapMetadata(metadata) {
      counted = new CountedMetadata(metadata);
      return counted;
    },
  });
  // What goes on by itself is no request's.
  await server.collector.stop();
  await server.storage.stop();
  const work: RequestWork[] = [];
  const send = async (request: string, url: string, init: RequestInit = {}): Promise<Response> => {
    counted?.take();
    const answer = await fetch(new URL(url, server.url), init);
    const bytes = await answer.bytes();
    if (!answer.ok) throw new Error(`${request}: ${answer.status} ${new TextDecoder().decode(bytes)}`);
    const { statements = 0, writes = 0 } = counted?.take() ?? {};
    work.push({ request, statements, writes });
    return answer;
  };
  const [config, layer] = [freshBytes(), freshBytes()];
  const manifest = JSON.stringify(imageOf(config, layer));
  for (const blob of [config, layer]) {
    // Those of the second image are what is usual: the first one makes the repository.
    if (blob === layer) work.length = 0;
    const opened = await send('POST upload', '/v2/app/blobs/uploads/', { method: 'POST' });
    const location = opened.headers.get('location') ?? '';
    await send('PUT blob', `${location}?digest=${digestOf(blob)}`, { method: 'PUT', body: blob });
  }
  const headers = { 'content-type': ociManifest };
  await send('PUT manifest', '/v2/app/manifests/latest', { method: 'PUT', headers, body: manifest });
  await send('HEAD blob', `/v2/app/blobs/${digestOf(layer)}`, { method: 'HEAD' });
  await send('GET manifest, the first time', '/v2/app/manifests/latest');
  await send('GET manifest, again', '/v2/app/manifests/latest');
  await send('GET blob', `/v2/app/blobs/${digestOf(layer)}`);
  await server.stop();
  await rm(data, { recursive: true });
  return work;
}
