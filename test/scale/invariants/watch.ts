import type { BlobStore } from '../../../src/blobs/store.ts';
import type { SeededRandom } from '../../../src/storm/seeded-random.ts';
import { digestOf } from '../../http/content.ts';
import type { S3Request } from '../injecting-proxy.ts';
import type { TestBucket } from '../s3-server.ts';
import { AcknowledgedWrites } from './acknowledged-writes.ts';
import { Beside } from './beside.ts';
import { judgeChanges } from './broken-changes.ts';
import { BucketLooks } from './bucket-looks.ts';
import { CleanAnswers } from './clean-answers.ts';
import { lookAtRows } from './committed-states.ts';
import { lookAtRowsOfDeletes, lookForListings, lookForScans, scansOf } from './cost.ts';
import { Findings } from './findings.ts';
import { MissingBytes } from './missing-bytes.ts';
import { noteChanges, notedChanges } from './noted-changes.ts';
import { PullsOfEverything } from './pulls-of-everything.ts';
import { PurgingClient } from './purging-client.ts';
import { RepeatedReviews } from './repeated-reviews.ts';

const betweenLooksMs = 250;

export interface Watched {
  /** The address of its database, past all that goes wrong. */
  readonly database: string;
  readonly bucket: TestBucket;
  /** The same bucket, as another process has it. */
  readonly blobs: BlobStore;
  readonly origins: readonly string[];
  readonly leaseMs: number;
  readonly purge: (body: object) => Promise<Response>;
}

/** Watches from beside whether the invariants hold in a registry whose stores fail, and does what puts them to the test. */
export class Watch implements AsyncDisposable {
  readonly findings = new Findings();
  readonly purges: PurgingClient;
  readonly missing: MissingBytes;
  readonly #watched: Watched;
  readonly #connections: readonly Beside[];
  readonly #beside: Beside;
  readonly #reviews: RepeatedReviews;
  readonly #looks: BucketLooks;
  readonly #clients: readonly { goOnUntil(isOver: () => boolean): Promise<void> }[];
  readonly #scansBefore: ReadonlyMap<string, number>;
  readonly #over = new AbortController();
  #going: Promise<unknown> = Promise.resolve();

  private constructor(
    watched: Watched,
    connections: readonly [Beside, Beside, Beside, Beside, Beside],
    { random, scansBefore }: { readonly random: SeededRandom; readonly scansBefore: ReadonlyMap<string, number> },
  ) {
    const { findings } = this;
    const { bucket, blobs, origins, leaseMs, purge } = watched;
    const [beside, ofWrites, ofPulls, ofMissing, ofReviews] = connections;
    this.#watched = watched;
    this.#connections = connections;
    this.#beside = beside;
    this.#scansBefore = scansBefore;
    const answers = new CleanAnswers(origins, findings);
    this.#looks = new BucketLooks(bucket, beside, findings);
    this.#reviews = new RepeatedReviews(ofReviews, findings);
    const oids = this.#looks.damaged;
    this.purges = new PurgingClient(answers, findings, purge);
    this.missing = new MissingBytes({ answers, beside: ofMissing, findings, blobs, oids });
    const isDamaged = (digest: string): boolean => this.missing.isOf(digest);
    this.#clients = [
      this.purges,
      this.missing,
      this.#reviews,
      new AcknowledgedWrites({ answers, beside: ofWrites, random, findings, leaseMs }),
      new PullsOfEverything({ answers, beside: ofPulls, findings, leaseMs, isDamaged }),
    ];
  }

  /** Begins to watch a registry that nobody uses yet. */
  static async begin(watched: Watched, random: SeededRandom): Promise<Watch> {
    const connect = (): Promise<Beside> => Beside.connect(watched.database);
    const beside = await connect();
    await noteChanges(beside);
    const others = [await connect(), await connect(), await connect(), await connect()] as const;
    const watch = new Watch(watched, [beside, ...others], { random, scansBefore: await scansOf(beside) });
    watch.#going = watch.#goOn();
    return watch;
  }

  async #goOn(): Promise<void> {
    const isOver = (): boolean => this.#over.signal.aborted;
    await Promise.all([this.#lookUntil(isOver), ...this.#clients.map((client) => client.goOnUntil(isOver))]);
  }

  async #lookUntil(isOver: () => boolean): Promise<void> {
    while (!isOver()) {
      await lookAtRows(this.#beside, this.findings);
      await this.#looks.look();
      await Bun.sleep(betweenLooksMs);
    }
  }

  /** Ends what puts the registry to the test. @param requests what it has asked the bucket for */
  async endTrial(requests: readonly S3Request[]): Promise<void> {
    this.#over.abort();
    await this.#going;
    await lookForScans(this.#beside, this.findings, this.#scansBefore);
    lookForListings(requests, this.findings);
  }

  /** Looks at what is left when the collectors are through, and at all that has led there. */
  async conclude(live: readonly { readonly oid: string; readonly digest: string }[]): Promise<void> {
    const { blobs, bucket } = this.#watched;
    await lookAtRows(this.#beside, this.findings);
    for (const { oid, digest } of live) {
      this.findings.looked('I1');
      const found = digestOf(await blobs.read(oid).bytes());
      if (found !== digest) this.findings.found({ invariant: 'I1', words: `${oid} is not ${digest}` });
    }
    await this.#reviews.repeatAll(blobs, bucket);
    const changes = await notedChanges(this.#beside);
    judgeChanges(changes, this.findings);
    lookAtRowsOfDeletes(changes, this.findings);
    await lookAtRows(this.#beside, this.findings);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#over.abort();
    await this.#going.catch(() => undefined);
    for (const connection of this.#connections) await connection[Symbol.asyncDispose]();
  }
}
