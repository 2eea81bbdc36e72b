import { expect, test } from 'bun:test';
import { createLog } from '../log/log.ts';
import type { SupervisorMessage } from './messages.ts';
import { Supervisor } from './supervisor.ts';

/** A process that the supervisor has started, and what it has done with it. */
interface Started {
  readonly receive: (message: unknown) => void;
  readonly end: (code: number) => void;
  readonly told: SupervisorMessage['kind'][];
  readonly signals: NodeJS.Signals[];
}

/** Two workers, of which both serve. */
async function serving(): Promise<readonly Started[]> {
  const log = await createLog({ level: 'error', format: 'json', stream: { write: () => undefined } });
  const started: Started[] = [];
  const supervisor = new Supervisor({
    count: 2,
    log,
    drainMs: 0,
    start(_index, receive) {
      const { promise: ended, resolve: end } = Promise.withResolvers<number>();
      const process: Started = { receive, end, told: [], signals: [] };
      started.push(process);
      return {
        pid: started.length,
        ended,
        send: ({ kind }) => void process.told.push(kind),
        kill: (signal) => void process.signals.push(signal),
      };
    },
  });
  const starting = supervisor.start();
  for (let index = 0; index < 2; index++) {
    // The second is started once the first serves.
    while (started[index] === undefined) await new Promise((resolve) => setImmediate(resolve));
    started[index]?.receive({ kind: 'ready' });
    started[index]?.receive({ kind: 'serving', url: 'http://127.0.0.1:1', ports: [1] });
  }
  await starting;
  return started;
}

test('a worker that is ready after the disk has lost something is not let to the stores', async () => {
  const started = await serving();
  expect(started.map(({ told }) => told)).toEqual([['go'], ['go']]);
  started[1]?.end(1);
  while (started.length < 3) await new Promise((resolve) => setTimeout(resolve, 10));
  started[0]?.receive({ kind: 'ask', topic: 'broken', payload: 'the disk is gone' });
  started[2]?.receive({ kind: 'ready' });
  expect(started[2]).toMatchObject({ told: [], signals: ['SIGKILL'] });
});
