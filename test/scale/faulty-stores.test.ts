import { expect, setDefaultTimeout, test } from 'bun:test';
import { S3BlobStore } from '../../src/blobs/s3/store.ts';
import { SeededRandom } from '../../src/storm/seeded-random.ts';
import { digestOf, freshBytes } from '../http/content.ts';
import { until } from '../server/until.ts';
import { runStorm } from '../storm/storm-process.ts';
import { CuttingRelay } from './cutting-relay.ts';
import { brokenRowsIn, heldKeys, unfinishedIn } from './held-by-the-registry.ts';
import { type Inject, type Injected, InjectingProxy, operationOf, type S3Request } from './injecting-proxy.ts';
import { startMinio } from './minio-server.ts';
import { startPostgres } from './postgres-server.ts';
import { SeveralProcesses } from './several-processes.ts';
import { PostgresTables } from '../pairs/tables.ts';

const seconds = Number(process.env['FAULTS_SECONDS'] ?? 40);
const seed = Number(process.env['FAULTS_SEED'] ?? Math.floor(Math.random() * 2 ** 32));
const collectedWithinMs = 180_000;
const repo = 'aside/purged';
/** A part of the squeezed one. */
const leaseMs = 1000;
/** How long the registry tries a request, and how long one may be on its way after that, in ms. */
const tryMs = 30_000;
const lateMs = 4000;

setDefaultTimeout(seconds * 1000 * 2 + 600_000);

const load = ['--processes', '2', '--clients', '3', '--lease', '1s', '--large-blobs', '3', '--allow-down'];

/**
 * Whether a request may arrive after its sender has given it up. A piece of an upload and the beginning of one would stay
 * beside the object if that lives by then, and go with it.
 */
function mayComeLate(request: S3Request): boolean {
  const operation = operationOf(request);
  return operation !== 'CreateMultipartUpload' && !(operation === 'PutObject' && request.key.includes('.tail-'));
}

/** One request in ten is met by something that goes wrong. */
function faults(random: SeededRandom): Inject {
  const slow = (ms: number): Injected => ({ do: 'hold', until: Bun.sleep(ms) });
  const kinds: readonly (() => Injected)[] = [
    () => ({ do: 'answer', status: 500, code: 'InternalError' }),
    () => ({ do: 'answer', status: 503, code: 'SlowDown' }),
    () => ({ do: 'lose-answer', status: 500, code: 'InternalError' }),
    () => ({ do: 'cut' }),
    () => ({ do: 'cut-request' }),
    () => ({ do: 'cut-body', afterBytes: random.between(0, 2000) }),
    () => slow(random.between(100, 2000)),
  ];
  let worseFor = 0;
  return (request) => {
    // Longer than a call is tried, so that some do fail.
    if (worseFor > 0) {
      worseFor--;
      return { do: 'answer', status: 503, code: 'SlowDown' };
    }
    if (random.chance(0.002)) worseFor = 40;
    // Longer than one try of a call may take.
    if (random.chance(0.0005)) {
      return { do: mayComeLate(request) ? 'hold' : 'lose-request', until: Bun.sleep(tryMs + 2000) };
    }
    if (mayComeLate(request) && random.chance(0.02)) {
      return { do: 'deliver-late', status: 503, code: 'SlowDown', until: Bun.sleep(random.between(100, lateMs)) };
    }
    return random.chance(0.1) ? random.pick(kinds)?.() : undefined;
  };
}

/** Pushes blobs and purges them; what is answered is a clean yes or no. */
class Purges {
  purged: string[] = [];
  readonly wrong: string[] = [];
  readonly #origins: readonly string[];
  readonly #admin: (body: object) => Promise<Response>;
  #turn = 0;

  constructor(origins: readonly string[], admin: (body: object) => Promise<Response>) {
    this.#origins = origins;
    this.#admin = admin;
  }

  async goOnUntil(isOver: () => boolean): Promise<void> {
    while (!isOver()) await this.#one();
  }

  async #one(): Promise<void> {
    const bytes = freshBytes(200_000);
    const digest = digestOf(bytes);
    const begunAt = performance.now();
    const pushed = await this.#send(`blobs/uploads/?digest=${digest}`, [201], { method: 'POST', body: bytes });
    if (pushed === undefined) return;
    const pulled = await this.#send(`blobs/${digest}`, [200, 404]);
    // Nothing holds it but its lease, and requests may take longer than that.
    const mayBeGone = performance.now() - begunAt > leaseMs;
    if (pulled === undefined || digestOf(pulled) === digest) await this.#purge(digest);
    else if (!mayBeGone) this.wrong.push('what was pushed just now is not there');
  }

  async #purge(digest: string): Promise<void> {
    try {
      const answer = await this.#admin({ digests: [digest], reason: 'why' });
      this.#judge('purge', answer, [200]);
      await answer.arrayBuffer();
      if (answer.status !== 200) return;
    } catch {
      return;
    }
    this.purged.push(digest);
    await this.#send(`blobs/${digest}`, [403]);
  }

  /** The body of an answer; undefined where there was none, or it was 503. */
  async #send(path: string, expected: readonly number[], init: RequestInit = {}): Promise<Uint8Array | undefined> {
    const origin = this.#origins[this.#turn++ % this.#origins.length];
    try {
      const answer = await fetch(`${origin}/v2/${repo}/${path}`, init);
      this.#judge(path, answer, expected);
      const body = await answer.bytes();
      if (answer.status === 200 && !path.endsWith(digestOf(body))) this.wrong.push(`${path}: other bytes`);
      return expected.includes(answer.status) ? body : undefined;
    } catch {
      // Broken off: the client sees that.
      return undefined;
    }
  }

  #judge(what: string, { status, headers }: Response, expected: readonly number[]): void {
    if (expected.includes(status)) return;
    if (status !== 503) this.wrong.push(`${what}: ${status}`);
    else if (!headers.has('retry-after')) this.wrong.push(`${what}: 503 without Retry-After`);
  }
}

/** Ends one of the registry's connections to the database now and then, as an administrator may. */
async function terminateSome(database: string, random: SeededRandom, isOver: () => boolean): Promise<void> {
  while (!isOver()) {
    await Bun.sleep(random.between(200, 1500));
    PostgresTables.at(database).change(
      `select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'wherry%' order by random() limit 1`,
    );
  }
}

test('whatever goes wrong between two processes and their bucket and database, clients get a clean answer, and what must hold does', async () => {
  console.log(`faults: seed ${seed} (FAULTS_SEED), ${seconds} s (FAULTS_SECONDS)`);
  const random = new SeededRandom(seed);
  const [postgres, s3] = await Promise.all([startPostgres(), startMinio()]);
  await using stack = new AsyncDisposableStack();
  stack.defer(() => postgres.stop());
  stack.defer(() => s3.stop());
  const bucket = await s3.newBucket();
  const database = await postgres.newDatabase();
  const proxy = stack.use(new InjectingProxy(s3.endpoint));
  const relay = stack.use(new CuttingRelay(Number(new URL(database).port)));
  const flags = {
    blobs: `s3://${bucket.name}`,
    's3-endpoint': proxy.endpoint,
    's3-part-size': '5MiB',
    // Longer than they are.
    's3-late-writes': `${(2 * lateMs) / 1000}s`,
  };
  const environment = { ...s3.environment, WHERRY_METADATA: relay.addressOf(database) };
  const registry = stack.use(await SeveralProcesses.start(2, () => flags, environment));

  proxy.inject = faults(random.fork());
  const ofRelay = random.fork();
  relay.decide = (sent) => {
    if (ofRelay.chance(0.0005)) return 'cut';
    return sent.includes('commit') && ofRelay.chance(0.01) ? 'lose-answer' : 'hand-on';
  };
  const over = new AbortController();
  const terminations = terminateSome(database, random.fork(), () => over.signal.aborted);
  const purges = new Purges(registry.origins, async (body) => await registry.admin('/purge', body));
  const purging = purges.goOnUntil(() => over.signal.aborted);
  const { text, report } = await runStorm(registry, ...load, '--duration', `${seconds}s`, '--seed', String(seed));
  over.abort();
  proxy.inject = () => undefined;
  relay.decide = () => 'hand-on';
  await Promise.all([terminations, purging]);
  await Promise.all(proxy.lateAnswers);
  console.log(
    `${text}\n${relay.cuts} connections cut, ${purges.purged.length} purges, ${proxy.injections} faults, ${proxy.lateAnswers.length} requests late`,
  );
  expect(registry.endedByThemselves).toEqual([]);
  expect(report.lost).toEqual([]);
  expect(report.wrong).toEqual([]);
  expect(purges.wrong).toEqual([]);
  expect(purges.purged.length).toBeGreaterThan(0);
  expect(report.counts.pushesAcknowledged).toBeGreaterThan(seconds / 2);

  await until('the collectors are through', () => unfinishedIn(database).length === 0, collectedWithinMs).catch(
    (error: unknown) => {
      throw new Error(`left: ${unfinishedIn(database).join(', ')}`, { cause: error });
    },
  );
  expect(brokenRowsIn(database)).toEqual([]);
  const objects = (await bucket.keys()).filter((key) => key !== 'wherry' && key !== 'generation');
  expect(objects).toEqual([...heldKeys(database)]);
  expect(s3.unfinishedUploads()).toBe(0);

  // I1.
  Object.assign(process.env, s3.environment);
  const blobs = await S3BlobStore.open({ ...bucket.settings, prefix: '' });
  const rows = PostgresTables.at(database).rows<{ readonly oid: string; readonly digest: string }>(
    `select oid, digest from object where state = 'live'`,
  );
  for (const { oid, digest } of rows) expect(digestOf(await blobs.read(oid).bytes())).toBe(digest);
  await registry.stop();
});
