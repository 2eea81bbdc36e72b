import { BlobUploader } from './blob-upload.ts';
import { Content } from './content.ts';
import { Deleter } from './deletes.ts';
import { ImagePuller } from './image-pull.ts';
import { ImagePusher } from './image-push.ts';
import { Ledger } from './ledger.ts';
import type { StormOptions } from './options.ts';
import { RegistryClient, RegistryGone, Unanswered } from './registry-client.ts';
import { operationsOf, type StormReport } from './report.ts';
import { SeededRandom } from './seeded-random.ts';
import { Tally } from './tally.ts';
import { verify } from './verification.ts';
import { Worker } from './worker.ts';

/** How often a delete in the end is tried that the registry's own end has cut short. */
const deleteTries = 20;

/** Lets clients loose on a registry; returns what they have found when their time is over. */
export async function runStorm(options: StormOptions): Promise<StormReport> {
  const { doors, allowDown, leaseMs } = options;
  const tally = new Tally();
  const ledger = new Ledger();
  const content = new Content(options);
  const random = new SeededRandom(options.seed + options.process);
  // Which door is taken decides nothing else: with one door and with several, the same things are done.
  const ways = new SeededRandom(options.seed + options.process);
  const newClient = (): RegistryClient => new RegistryClient({ doors, random: ways.fork(), allowDown, tally });
  const repositories = Array.from({ length: options.repositories }, (_unused, number) => `storm/${number + 1}`);
  const workers = Array.from({ length: options.clients }, (_unused, number) => {
    const own = random.fork();
    const client = newClient();
    const uploader = new BlobUploader({ client, random: own, tally, allowDown });
    const pusher = new ImagePusher({ client, uploader, random: own, ledger, tally, leaseMs, repositories });
    const name = `c${options.process + 1}-${number + 1}`;
    return new Worker({
      name,
      content,
      random: own,
      ledger,
      tally,
      client,
      pusher,
      puller: new ImagePuller(client, ledger),
      deleter: new Deleter(client, ledger, tally),
      repositories,
      allowDown,
    });
  });

  const startedAt = performance.now();
  const isOver = (): boolean =>
    performance.now() - startedAt > options.durationMs || (options.failFast && tally.findings.any);
  let verification: Awaited<ReturnType<typeof verify>> = { images: 0, lost: [] };
  try {
    await Promise.all(workers.map((worker) => worker.work(isOver)));
    const client = newClient();
    verification = await verify({ client, puller: new ImagePuller(client, ledger), ledger, tally });
    if (options.deleteTags) await deleteTags(ledger, new Deleter(client, ledger, tally), client);
  } catch (error) {
    if (!(error instanceof RegistryGone || error instanceof Unanswered)) throw error;
    tally.findings.wrong('the registry is gone', { request: '', expected: 'answers', got: error.message });
  }
  const { acknowledged, findings } = tally;
  return {
    seed: options.seed,
    seconds: (performance.now() - startedAt) / 1000,
    operations: operationsOf(tally.latencies),
    lost: [...verification.lost],
    wrong: [...findings.all],
    unanswered: tally.unanswered,
    counts: {
      pushesAcknowledged: acknowledged.pushes,
      deletesAcknowledged: acknowledged.deletes,
      deletesRefused: acknowledged.refusedDeletes,
      imagesPulled: tally.pulls,
      imagesVerified: verification.images,
      pushesExpired: tally.expiredPushes,
      sessionsLost: tally.lostSessions,
      breakingDeletes: tally.breakingDeletes,
      pushedBytes: tally.pushedBytes,
      pulledBytes: tally.pulledBytes,
    },
  };
}

/** Deletes every tag that may be there. */
async function deleteTags(ledger: Ledger, deleter: Deleter, client: RegistryClient): Promise<void> {
  for (const tag of ledger.tags) {
    for (let left = deleteTries; left > 0 && tag.states.some((state) => state !== 'absent'); left -= 1) {
      try {
        await deleter.deleteTag(tag);
        break;
      } catch (error) {
        if (!(error instanceof Unanswered)) throw error;
        await client.untilAnswering();
      }
    }
  }
}
