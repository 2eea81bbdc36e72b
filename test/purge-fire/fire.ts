import { z } from 'zod';
import { pullWhole } from '../crash/pull-whole.ts';
import { digestOf, freshBytes, imageOf, ociManifest } from '../http/content.ts';
import { until } from '../server/until.ts';
import { findingsIn } from '../storm/fsck-process.ts';
import { Bystanders } from './bystanders.ts';
import { BurningRegistry, type Fault } from './burning-registry.ts';
import { attempts, SecretPushers } from './secret-pushers.ts';
import { bufferedByConnection, SlowDownload } from './slow-download.ts';

const mebibyte = 1024 * 1024;
const secretBytes = 32 * mebibyte;
const downloads = 50;
/** The machine may be busy with other things. */
const patienceMs = 60_000;
/** The FIN of a connection that the server has ended counts as a byte. */
const endOfConnection = 1;

/** How often the source is pushed at most until all of it has come in time. */
const mostPushes = 10;
const source = 'secret/source';
const reason = 'a key was in it';

/** Where a digest stays when its content is gone: what keeps it out, and what tells of it. */
const tablesThatTell = new Set([
  'blocked',
  'event',
  'purge',
  'purge_consequence',
  'purge_digest',
  'purge_place',
  'push_history',
  'stored',
]);

const record = z.object({
  id: z.number(),
  by: z.string(),
  reason: z.literal(reason),
  removedAt: z.string(),
  checkedAt: z.string(),
  isClean: z.literal(true),
  unreached: z.array(z.string()).min(1),
  places: z.array(z.object({ kind: z.string(), count: z.number(), bytes: z.number() })),
  digests: z.array(z.object({ digest: z.string() })),
});
const records = z.object({ purges: z.array(z.unknown()) });

export interface FireOptions {
  readonly isShredding: boolean;
  /** Where the purge is killed; nowhere where it is left out. */
  readonly fault?: Fault;
}

/** What became of a purge under fire. */
export interface FireReport {
  /** What must not be; nothing where all is well. */
  readonly problems: readonly string[];
  readonly wasKilled: boolean;
  /** Whether it was begun again, as nothing of it had been committed. */
  readonly wasRepeated: boolean;
  /** The failure points that it came to, in order. */
  readonly reached: readonly string[];
  /** What arrived at the slow clients after the acknowledgement, and how much of it was on its way, in bytes. */
  readonly lateBytes: number;
  readonly onTheWayBytes: number;
  readonly refusals: number;
}

/** Purges a blob that 50 clients are downloading, eight are pushing, and others mount, use and collect. */
export async function purgeUnderFire({ isShredding, fault }: FireOptions): Promise<FireReport> {
  await using registry = await BurningRegistry.start(fault);
  const problems: string[] = [];
  const { secret, marker } = markedBytes();
  const digest = digestOf(secret);
  const clean = await pushSource(registry, secret);
  const bystanders = new Bystanders(registry.origin);
  const pushers = new SecretPushers(registry.origin, source, secret);
  const slow = Array.from(
    { length: downloads },
    () => new SlowDownload(registry.port, `/v2/${source}/blobs/${digest}`, secret),
  );
  const body = { digests: [digest], reason, shred: isShredding };
  let wasKilled = false;
  let wasRepeated = false;
  try {
    bystanders.start();
    pushers.start();
    await until('each download has begun', () => slow.every((one) => one.receivedBytes > 0), patienceMs);
    const all = (): boolean => attempts.every((one) => pushers.answered(0, 200, 201).has(one));
    await until('each kind of attempt has succeeded', all, patienceMs);

    let [acknowledged, acknowledgedAt] = await purge(registry, body);
    if (!acknowledged) {
      await until('the server that does not answer ends', () => registry.hasEnded, patienceMs);
      wasKilled = true;
      acknowledgedAt = performance.now();
      await registry.resume();
      const { purges } = records.parse(await (await registry.admin('GET', '/purges')).json());
      if (purges.length === 0) {
        wasRepeated = true;
        [acknowledged, acknowledgedAt] = await purge(registry, body);
        if (!acknowledged) problems.push('a purge is not acknowledged, though nothing kills the server');
      }
    }
    const buffered = bufferedByConnection(new Set(slow.map(({ localPort }) => localPort)));
    const measured = (one: SlowDownload) => ({ one, received: one.receivedBytes, left: one.onTheWay(buffered) });
    const { connected = [], reset = [] } = Object.groupBy(slow, (one) =>
      one.isConnected(buffered) ? 'connected' : 'reset',
    );
    const before = connected.map(measured);
    // The system no longer tells what had arrived there, which is read when that is seen; nothing else can come.
    await until('each sees that it is reset', () => reset.every((one) => one.hasEnded), patienceMs);
    before.push(...reset.map(measured));
    for (const one of slow) one.readAll();
    if (before.some(({ received }) => received >= secretBytes)) problems.push('a download was over before the purge');

    await until('each download is broken off', () => slow.every((one) => one.hasEnded), patienceMs);
    for (const { one, received, left } of before) {
      const late = one.receivedBytes - received;
      if (late > left + endOfConnection) problems.push(`${late} bytes were sent, ${left} of them before`);
      if (one.receivedBytes >= secretBytes) problems.push('a download has got all');
      if (one.hasOtherBytes && !isShredding) problems.push('a download has got other bytes than those of the blob');
    }
    const refused = (): boolean => attempts.every((one) => pushers.answered(acknowledgedAt, 403).has(one));
    await until('each kind of attempt is refused', refused, patienceMs);
    await Promise.all([pushers.stop(), bystanders.stop()]);

    const wrong = pushers.answers.filter(({ beganAt, status }) => beganAt >= acknowledgedAt && status !== 403);
    for (const { attempt, status } of wrong) problems.push(`${attempt} is answered with ${status} after the purge`);
    const failed = pushers.answers.filter(({ status }) => ![200, 201, 202, 403, 404].includes(status));
    for (const { attempt, status } of failed) problems.push(`${attempt} is answered with ${status}`);
    problems.push(...bystanders.problems);
    if (bystanders.pulls === 0) problems.push('nobody has pulled anything else');

    const images = [...bystanders.images, [`${source}:clean`, clean] as const];
    problems.push(...(await notWhole(registry.origin, images)));
    problems.push(...(await problemsOfRecord(registry, digest)));
    for (const reference of ['leaking', digest]) {
      const { status } = await fetch(`${registry.origin}/v2/${source}/manifests/${reference}`);
      if (status !== 403) problems.push(`the manifest ${reference} is answered with ${status}`);
    }
    await until('what is to go has gone', () => registry.leaving() === 0, patienceMs);
    const code = await registry.stop();
    if (code !== 0) problems.push(`the server has ended with ${code}`);
    problems.push(...(await findingsIn(registry.data, '--rehash', '--rate', '1GB')));
    problems.push(...registry.filesWith(marker).map((path) => `the content is in ${path}`));
    const tables = registry.tablesNaming(digest).filter((table) => !tablesThatTell.has(table));
    problems.push(...tables.map((table) => `the digest is in the table ${table}`));
    const lines = registry.log().split('\n');
    problems.push(...lines.filter((line) => /"level":"?(error|fatal|50|60)/.test(line)));
    return {
      problems,
      wasKilled,
      wasRepeated,
      reached: registry.reached(),
      lateBytes: before.reduce((sum, { one, received }) => sum + one.receivedBytes - received, 0),
      onTheWayBytes: before.reduce((sum, { left }) => sum + left, 0),
      refusals: pushers.answers.filter(({ status }) => status === 403).length,
    };
  } catch (error) {
    throw new Error(`${[...problems, String(error)].join('\n')}\n${registry.log().slice(-4000)}`, { cause: error });
  } finally {
    for (const one of slow) one[Symbol.dispose]();
    await Promise.all([pushers.stop(), bystanders.stop()]);
  }
}

/** Bytes in which 64 that are nowhere else stand again and again, so that any part of an upload has them. */
function markedBytes(): { readonly secret: Uint8Array<ArrayBuffer>; readonly marker: Uint8Array } {
  const secret = freshBytes(secretBytes);
  const marker = freshBytes(64);
  for (let at = 0; at < secretBytes; at += mebibyte / 16) secret.set(marker, at);
  return { secret, marker };
}

/** An image that needs the secret, and one that has all but it. @returns the digest of the latter */
async function pushSource({ origin }: BurningRegistry, secret: Uint8Array<ArrayBuffer>): Promise<string> {
  const [config, layer] = [freshBytes(), freshBytes(5000)];
  const send = async (method: string, path: string, init: RequestInit): Promise<number> => {
    const answer = await fetch(`${origin}/v2/${source}/${path}`, { ...init, method });
    if (answer.status === 201 || (answer.status === 404 && path.startsWith('manifests/'))) return answer.status;
    throw new Error(`${path} is answered with ${answer.status} ${await answer.text()}`);
  };
  const headers = { 'content-type': ociManifest };
  const clean = JSON.stringify(imageOf(config, layer));
  const leaking = JSON.stringify(imageOf(config, layer, secret));
  for (let tries = 0; tries < mostPushes; tries++) {
    for (const body of [secret, config, layer]) {
      await send('POST', `blobs/uploads/?digest=${digestOf(body)}`, { body });
    }
    // Leases are short: on a busy machine a blob may be gone by now.
    const leaked = await send('PUT', 'manifests/leaking', { body: leaking, headers });
    if (leaked === 201 && (await send('PUT', 'manifests/clean', { body: clean, headers })) === 201)
      return digestOf(clean);
  }
  throw new Error(`blobs have been gone ${mostPushes} times before the manifest came`);
}

/** @returns whether it was acknowledged, and when, by performance.now() */
async function purge(registry: BurningRegistry, body: object): Promise<[boolean, number]> {
  try {
    const answer = await registry.admin('POST', '/purge', body);
    return [answer.status === 200, performance.now()];
  } catch {
    return [false, performance.now()];
  }
}

async function notWhole(origin: string, images: Iterable<readonly [string, string]>): Promise<readonly string[]> {
  const problems: string[] = [];
  for (const [name, wanted] of images) {
    const [repo = '', tag = ''] = name.split(':');
    try {
      const found = await pullWhole(origin, repo, tag);
      if (found !== wanted) problems.push(`${name} is ${found}, not ${wanted}`);
    } catch (error) {
      problems.push(`${name}: ${String(error)}`);
    }
  }
  return problems;
}

/** What the records lack. Of two purges the second has found nothing to do any more but what was pushed meanwhile. */
async function problemsOfRecord(registry: BurningRegistry, digest: string): Promise<readonly string[]> {
  const { purges } = records.parse(await (await registry.admin('GET', '/purges')).json());
  if (purges.length !== 1) return [`there are ${purges.length} records of one purge`];
  const found = record.safeParse(purges[0]);
  if (!found.success) return [`the record is not complete: ${JSON.stringify(purges[0])}`];
  const { places, digests } = found.data;
  const kinds = new Set(places.map(({ kind }) => kind));
  const missing = ['object', 'link', 'manifest', 'tag'].filter((kind) => !kinds.has(kind));
  return [
    ...missing.map((kind) => `the record has no place of the kind ${kind}`),
    ...(digests.some((each) => each.digest === digest) ? [] : ['the record does not name the digest']),
  ];
}
