import { expect, test } from 'bun:test';
import { createLog } from '../log/log.ts';
import { WorkerLink } from './worker-link.ts';

test('a worker that was told of a broken disk before it had opened the database promises nothing once it has', async () => {
  const log = await createLog({ level: 'error', format: 'json', stream: { write: () => undefined } });
  let deliver: (message: unknown) => void = () => undefined;
  const channel = {
    send: () => undefined,
    onMessage: (receive: typeof deliver) => void (deliver = receive),
    onGone() {},
  };
  const link = new WorkerLink(channel, { end: () => undefined, lock: undefined, log });
  deliver({ kind: 'ask', id: 1, topic: 'broken', payload: 'the disk is gone' });
  const heard: unknown[] = [];
  link.hear('broken', async (reason) => void heard.push(reason));
  expect(heard).toEqual(['the disk is gone']);
});
