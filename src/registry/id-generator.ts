import { randomBytes, randomUUID } from 'node:crypto';
import type { ObjectId } from '../blobs/store.ts';

/** Fresh identifiers, passed in so that a test can foresee them. */
export interface IdGenerator {
  /** 128 random bits as 32 hex digits: the physical name of an object, never minted twice (I2). */
  objectId(): ObjectId;
  /** Names an upload session in its URL; cannot be guessed. */
  uploadId(): string;
}

export const randomIds: IdGenerator = {
  objectId: () => randomBytes(16).toString('hex'),
  uploadId: () => randomUUID(),
};
