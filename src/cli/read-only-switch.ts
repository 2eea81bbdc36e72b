import type { z } from 'zod';
import type { Config } from '../config/schema.ts';
import { type Outcome, reasonText } from '../http/admin/endpoint.ts';
import {
  beginReadOnly,
  endReadOnly,
  readOnlyStatus,
  shownReadOnly,
  switchOff,
  switchOn,
} from '../http/admin/read-only.ts';
import { requestActor } from '../registry/actor.ts';
import { endOverdue } from '../registry/read-only.ts';
import { openMetadata } from '../stores/stores.ts';
import { type AdminClient, byServerOr, quietLog, RefusedError, userAgent } from './admin-client.ts';

type State = z.output<typeof readOnlyStatus.answer>;

/** Whether a registry can be changed. @throws RefusedError */
export interface ReadOnlySwitch {
  status(): Promise<State>;
  on(reason: string): Promise<State>;
  off(isForced: boolean): Promise<State>;
  close(): Promise<void>;
}

/**
 * That of the server that runs on a data directory; where none does, it takes the database only, so that it can be switched
 * while the blobs cannot be reached.
 * @throws StartupError where there is no registry
 */
export async function openReadOnlySwitch(config: Config): Promise<ReadOnlySwitch> {
  const opened = await byServerOr(config, async () => await switchInDatabase(config));
  return 'ask' in opened ? switchByServer(opened) : opened;
}

function switchByServer(admin: AdminClient): ReadOnlySwitch {
  return {
    status: async () => await admin.ask(readOnlyStatus),
    on: async (reason) => await admin.ask(beginReadOnly, { body: { reason } }),
    off: async (isForced) => await admin.ask(endReadOnly, { body: { isForced } }),
    close: async () => await admin.close(),
  };
}

async function switchInDatabase(config: Config): Promise<ReadOnlySwitch> {
  const opened = await openMetadata(config, await quietLog());
  const parts = { metadata: opened.metadata, clock: opened.clock };
  const actor = requestActor({
    who: 'admin',
    identity: 'operator',
    address: undefined,
    userAgent,
    requestId: undefined,
  });
  try {
    await endOverdue(parts);
  } catch (error) {
    await opened.close();
    throw error;
  }
  return {
    status: async () => readOnlyStatus.answer.parse(await shownReadOnly(parts)),
    on: async (given) => {
      const { data: reason, error } = reasonText().safeParse(given);
      if (reason === undefined) throw new RefusedError(`reason: ${error?.issues[0]?.message}`);
      return answered(await switchOn(parts, { reason, actor, token: '' }));
    },
    off: async (isForced) => answered(await switchOff(parts, { actor, isForced })),
    close: async () => await opened.close(),
  };
}

function answered(outcome: Outcome<z.input<typeof readOnlyStatus.answer>>): State {
  if ('problem' in outcome) throw new RefusedError(outcome.problem.message);
  return readOnlyStatus.answer.parse(outcome.answer);
}
