import { afterEach, expect, test } from 'bun:test';
import { createServer, type Server } from 'node:http';
import { bucketSettingsAt } from '../../../test/pairs/bucket-settings.ts';
import { Bucket } from './bucket.ts';
import { fetchWithin, type Later } from './aborted-fetch.ts';

let server: Server;

afterEach(() => {
  server.closeAllConnections();
  server.close();
});

async function listening(): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(0, '127.0.0.1', resolve);
  await promise;
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('it does not listen');
  return `http://127.0.0.1:${address.port}`;
}

/** A time that passes when the test says so. */
function steered(): { readonly later: Later; pass(): void; readonly isWaited: boolean } {
  let waiting: (() => void) | undefined;
  return {
    later(act) {
      waiting = act;
      return () => (waiting = undefined);
    },
    pass: () => waiting?.(),
    get isWaited() {
      return waiting !== undefined;
    },
  };
}

test('a request to which nothing is answered is given up, so that the server learns of it', async () => {
  const [arrived, closed] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  server = createServer((request) => {
    request.on('close', closed.resolve);
    arrived.resolve();
  });
  const time = steered();
  const asked = fetchWithin(1000, time.later)(await listening()).catch((error: unknown) => error);
  await arrived.promise;
  time.pass();
  expect(await asked).toMatchObject({ name: 'TimeoutError' });
  await closed.promise;
});

test('an answer that has begun may take longer', async () => {
  const { promise: isRead, resolve: goOn } = Promise.withResolvers<void>();
  server = createServer((_request, response) => {
    response.writeHead(200);
    response.write('begun, ');
    void isRead.then(() => response.end('and ended'));
  });
  const time = steered();
  const answer = await fetchWithin(1000, time.later)(await listening());
  expect(time.isWaited).toBe(false);
  goOn();
  expect(await answer.text()).toBe('begun, and ended');
});

test('a call of a bucket is tried again on a connection of its own, and the one before is closed', async () => {
  let count = 0;
  const closed = Promise.withResolvers<void>();
  server = createServer((request, response) => {
    if (++count === 1) request.on('close', closed.resolve);
    else response.writeHead(200).end();
  });
  const settings = bucketSettingsAt({ bucket: 'wherry', prefix: '', endpoint: await listening() });
  process.env['AWS_ACCESS_KEY_ID'] ??= 'nobody';
  process.env['AWS_SECRET_ACCESS_KEY'] ??= 'nothing';
  await new Bucket(settings, { attemptMs: 1000, callMs: 30_000 }).put('key', Buffer.from('bytes'));
  await closed.promise;
  expect(count).toBe(2);
});
