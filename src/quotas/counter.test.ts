import { expect, test } from 'bun:test';
import { createLog } from '../log/log.ts';
import { QuotaCounter } from './counter.ts';

test('a counter that is stopped while a step fails does not wait until it would be tried again', async () => {
  const begun = Promise.withResolvers<void>();
  const failing = Promise.withResolvers<never>();
  const counter = new QuotaCounter({
    metadata: {
      write: async () => await failing.promise,
      async writeUnsynced() {
        begun.resolve();
        return await failing.promise;
      },
    },
    log: await createLog({ level: 'error', format: 'json', stream: { write: () => undefined } }),
  });
  counter.start();
  await begun.promise;
  const stopped = counter.stop();
  failing.reject(new Error('the disk is full'));
  expect(await stopped).toBeUndefined();
});
