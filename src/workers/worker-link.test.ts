import { expect, test } from 'bun:test';
import { createLog } from '../log/log.ts';
import type { WorkerMessage } from './messages.ts';
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

test('a worker that is being started has no answer to what others ask', async () => {
  const log = await createLog({ level: 'error', format: 'json', stream: { write: () => undefined } });
  const sent: WorkerMessage[] = [];
  let deliver: (message: unknown) => void = () => undefined;
  const channel = {
    send: (message: WorkerMessage) => void sent.push(message),
    onMessage: (receive: typeof deliver) => void (deliver = receive),
    onGone() {},
  };
  const link = new WorkerLink(channel, { end: () => undefined, lock: undefined, log });
  deliver({ kind: 'ask', id: 7, topic: 'metrics', payload: null });
  await new Promise(setImmediate);
  const [answer] = sent.splice(0);
  expect(answer).toEqual({ kind: 'answer', id: 7, isDone: true, payload: null });
  const asked = link.ask('metrics', null);
  const [question] = sent;
  const id = question?.kind === 'ask' ? question.id : undefined;
  deliver({ kind: 'answers', id, areDone: true, payloads: [null, ['counted']] });
  expect(await asked).toEqual([['counted']]);
});
