import type { BlobWriter, WriterEnd } from '../../blobs/store.ts';
import type { DigestHasher } from '../../oci/digest.ts';
import type { Registry } from '../registry.ts';
import { heartbeat } from './heartbeat.ts';
import type { AppendRequest } from './request.ts';
import type { WriterTurn } from './sessions.ts';

interface Receiving {
  readonly turn: WriterTurn;
  readonly epoch: number;
  /** When others have seen last that the session is worked on, in ms since 1970. */
  readonly seenAt: number;
  readonly hasher: DigestHasher | undefined;
  readonly writer: BlobWriter;
  /** More bytes than the request announced are refused. */
  readonly limitBytes: number | undefined;
}

export interface Received {
  readonly ended: 'complete' | 'stopped' | 'interrupted' | 'too-long' | 'too-short';
  readonly bytes: number;
  /** What the blob store has said at the end. */
  readonly progress: string;
}

/** Streams a body into the writer and the hash, and closes the writer whatever happens. */
export async function receive(registry: Registry, request: AppendRequest, receiving: Receiving): Promise<Received> {
  const reader = request.body?.getReader();
  const incoming = request.incoming ?? registry.room.expect(receiving.limitBytes);
  receiving.turn.interruptBy(async () => {
    await reader?.cancel().catch(() => undefined);
  });
  let bytes = 0;
  let ended: Received['ended'] = 'complete';
  let end: WriterEnd = 'dropped';
  let progress: string;
  try {
    let lastHeartbeat = receiving.seenAt;
    for (;;) {
      const next = await readNext(reader);
      if (receiving.turn.isStopped) ended = 'stopped';
      else if (next === 'interrupted') ended = 'interrupted';
      else if (next !== undefined && bytes + next.byteLength > (receiving.limitBytes ?? Infinity)) ended = 'too-long';
      if (ended !== 'complete' || next === undefined || next === 'interrupted') break;
      const beat = await heartbeat(registry, request.id, receiving.epoch, lastHeartbeat);
      if (beat === undefined) {
        ended = 'stopped';
        break;
      }
      lastHeartbeat = beat;
      bytes += next.byteLength;
      incoming.received(next.byteLength);
      const writing = receiving.writer.write(next);
      receiving.hasher?.update(next);
      if (writing !== undefined) await writing;
    }
    if (ended === 'complete' && bytes < (receiving.limitBytes ?? 0)) ended = 'too-short';
    end = endOf(ended, request);
  } finally {
    registry.traffic.pushed(bytes);
    incoming.end();
    progress = await receiving.writer.close(end);
  }
  return { ended, bytes, progress };
}

/** What becomes of what a request has brought. Who says where its bytes belong is most likely to bring more. */
function endOf(ended: Received['ended'], { isLast, range }: AppendRequest): WriterEnd {
  switch (ended) {
    case 'complete':
      if (isLast) return 'final';
      return range === undefined ? 'perhaps-final' : 'more';
    case 'interrupted':
      return 'more';
    case 'stopped':
    case 'too-long':
    case 'too-short':
      return 'dropped';
  }
}

/** The next bytes, undefined at the end, 'interrupted' where the client went away. */
async function readNext(
  reader: { read(): Promise<{ done: boolean; value?: Uint8Array | undefined }> } | undefined,
): Promise<Uint8Array | undefined | 'interrupted'> {
  if (reader === undefined) return undefined;
  try {
    const { done, value } = await reader.read();
    return done ? undefined : value;
  } catch {
    return 'interrupted';
  }
}
