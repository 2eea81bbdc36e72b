import { HttpConnection } from './load/http-connection.ts';
import { closingTarget, digestOf, openUpload } from './load/push-blob.ts';
import type { RunningRegistry } from './running-registry.ts';

/** Whether the registry refuses a blob whose bytes do not match the digest: those that do not look have less to do. */
export async function refusesWrongDigest(registry: RunningRegistry): Promise<boolean> {
  const connection = await HttpConnection.open(registry.port);
  try {
    const location = await openUpload(connection, 'bench/wrong');
    const promised = digestOf(new TextEncoder().encode('the bytes that were promised'));
    const answer = await connection.request('PUT', closingTarget(location, promised), {
      bytes: new TextEncoder().encode('quite other bytes'),
      mediaType: 'application/octet-stream',
    });
    return answer.status === 400;
  } finally {
    connection.close();
  }
}
