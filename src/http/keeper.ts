import { createHash, timingSafeEqual } from 'node:crypto';
import { z } from 'zod';
import type { Identity } from '../access/identity.ts';
import { isProbe, type Destination } from './destination.ts';
import type { Peer } from './front/peers.ts';

/** What says for whom a worker asks the keeper: what only workers know, and who it is. */
const forHeader = 'wherry-worker';
const headerParts = 2;

/** What is about one connection, and not about what is sent. */
const ofOneConnection = ['connection', 'keep-alive', 'transfer-encoding'];

/** How long nobody may have to wait until there is a keeper again, in seconds. */
export const keeperAwaySeconds = 2;

const passedOn = z.object({
  address: z.string().optional(),
  isEncrypted: z.boolean(),
  certified: z
    .object({
      identity: z.custom<Identity>((value) => typeof value === 'object' && value !== null),
      untilMs: z.number(),
    })
    .optional(),
});

/** Where several processes serve, one of them answers what must not depend on which is asked. */
export interface KeeperTerms {
  readonly isKeeper: boolean;
  /** What the workers know, and nobody else. */
  readonly secret: string;
  /** Where the keeper answers; undefined while there is none. */
  readonly origin: () => string | undefined;
}

/** Whether a request is for the keeper: for the admin API, and for the metrics of all. */
export function isForKeeper(destination: Destination): boolean {
  if (destination.scope === 'admin') return true;
  return destination.scope === 'operation' && destination.resource !== 'unknown' && !isProbe(destination);
}

/** Has the keeper answer; undefined where there is none at the moment. */
export async function askKeeper(
  { secret, origin }: KeeperTerms,
  request: Request,
  { address, isEncrypted, certified }: Peer,
): Promise<Response | undefined> {
  const keeper = origin();
  if (keeper === undefined) return undefined;
  const { pathname, search } = new URL(request.url, keeper);
  const headers = new Headers(request.headers);
  const peer = { address, isEncrypted, certified };
  headers.set(forHeader, `${secret} ${Buffer.from(JSON.stringify(peer)).toString('base64url')}`);
  for (const name of ofOneConnection) headers.delete(name);
  const hasBody = request.method !== 'GET' && request.method !== 'HEAD';
  try {
    const answer = await fetch(keeper + pathname + search, {
      method: request.method,
      headers,
      redirect: 'manual',
      signal: request.signal,
      decompress: false,
      // As it comes: nobody has said yet how long it may be.
      ...(hasBody && { body: request.body }),
    });
    const answered = new Headers(answer.headers);
    for (const name of ofOneConnection) answered.delete(name);
    return new Response(answer.body, { status: answer.status, headers: answered });
  } catch {
    return undefined;
  }
}

/** For whom another worker asks; undefined where no worker does. */
export function askedFor({ secret }: KeeperTerms, request: Request): Peer | undefined {
  const header = request.headers.get(forHeader);
  if (header === null) return undefined;
  const [shown = '', peer = '', ...rest] = header.split(' ', headerParts);
  if (rest.length > 0 || !timingSafeEqual(sha256(shown), sha256(secret))) return undefined;
  const { address, isEncrypted, certified } = passedOn.parse(JSON.parse(Buffer.from(peer, 'base64url').toString()));
  return { address, isEncrypted, certified, isStranger: false, connection: undefined };
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
