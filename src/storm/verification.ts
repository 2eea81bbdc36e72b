import type { Example } from './findings.ts';
import type { Fault, ImagePuller } from './image-pull.ts';
import type { Ledger } from './ledger.ts';
import { type RegistryClient, Unanswered } from './registry-client.ts';
import type { Tally } from './tally.ts';

const readersAtOnce = 4;
/** How often a pull is tried that the registry's end has cut short. */
const tries = 20;

/** What was pulled back in the end. */
export interface Verification {
  readonly images: number;
  readonly lost: readonly Example[];
}

/** Pulls back everything that must be there, once nobody changes it any more. What is wrong but no loss goes to the tally. */
export async function verify(parts: {
  readonly client: RegistryClient;
  readonly puller: ImagePuller;
  readonly ledger: Ledger;
  readonly tally: Tally;
}): Promise<Verification> {
  const { client, puller, ledger, tally } = parts;
  const lost: Example[] = [];
  const checks: (() => Promise<Fault | undefined>)[] = [
    ...ledger.tags.map((tag) => async () => await puller.pull(tag)),
    ...ledger.heldReferrers.map((referrer) => async () => await puller.pullReferrer(referrer)),
  ];
  const images = ledger.tags.filter((tag) => tag.certain !== undefined).length;
  const waiting = [...checks];
  const read = async (): Promise<void> => {
    for (let check = waiting.pop(); check !== undefined; check = waiting.pop()) {
      const fault = await persistently(client, check);
      if (fault?.isLoss === true) lost.push({ ...fault, at: Date.now() });
      else if (fault !== undefined) tally.findings.wrong(fault.what, fault);
    }
  };
  await Promise.all(Array.from({ length: readersAtOnce }, read));
  return { images, lost };
}

async function persistently<T>(client: RegistryClient, operation: () => Promise<T>): Promise<T> {
  for (let left = tries; ; left -= 1) {
    try {
      return await operation();
    } catch (error) {
      if (!(error instanceof Unanswered) || left === 0) throw error;
      await client.untilAnswering();
    }
  }
}
