import type { ByteRange } from '../../blobs/store.ts';
import type { DigestAlgorithm } from '../../oci/digest.ts';
import type { RepositoryName } from '../../oci/names.ts';
import type { Incoming } from '../room.ts';

/** The bytes of a request and what it said of them beforehand. */
export interface Chunk {
  readonly body: ReadableStream<Uint8Array> | null;
  /** From Content-Range; undefined for a stream that goes on where the session stands. */
  readonly range: ByteRange | undefined;
  /** From Content-Length, in bytes; undefined where the length is not known beforehand. */
  readonly lengthBytes: number | undefined;
  /** Where the upload was admitted together with these bytes. */
  readonly incoming?: Incoming;
}

export interface AppendRequest extends Chunk {
  readonly repo: RepositoryName;
  readonly id: string;
  /** The algorithm of the digest that the client has named already; the session's own where it has named none. */
  readonly algorithm?: DigestAlgorithm;
  /** The session is to be committed at once, under the claim's epoch: its offset need not be recorded before. */
  readonly isLast: boolean;
}

/** The request has more or fewer bytes than it announced. */
export interface LengthMismatch {
  readonly outcome: 'length-mismatch';
  readonly expectedBytes: number;
  readonly receivedBytes: number;
}

/** How many bytes a request announces, by its range or its length. */
export function expectedBytesOf({ range, lengthBytes }: Chunk): number | undefined {
  return range === undefined ? lengthBytes : range.last - range.first + 1;
}

export function isEmpty(chunk: Chunk): boolean {
  return chunk.body === null || chunk.lengthBytes === 0;
}

/** Whether a request only closes the session. */
export function isClosing(request: AppendRequest): boolean {
  return request.isLast && isEmpty(request);
}
