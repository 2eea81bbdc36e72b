import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';

/** What a sealed place begins with, and no name of a repository. */
export const sealedMark = '~';

const algorithm = 'aes-256-gcm';
const nonceBytes = 12;
const tagBytes = 16;

/** No name is longer than this; the length of what is sealed is always the same, so that it tells nothing either. */
const paddedBytes = 255;

/**
 * Where a list has come to, for the client to come back with: the names of repositories that it may not see, which mean
 * something only to who has the key.
 */
export class SealedPlaces {
  readonly #key: Buffer;

  /** @param key 32 bytes, which whoever has to unseal the same places shares */
  constructor(key: Buffer = randomBytes(32)) {
    this.#key = key;
  }

  seal(name: string): string {
    const nonce = randomBytes(nonceBytes);
    const cipher = createCipheriv(algorithm, this.#key, nonce);
    const text = Buffer.from(name.padEnd(paddedBytes, ' '));
    const sealed = Buffer.concat([nonce, cipher.update(text), cipher.final(), cipher.getAuthTag()]);
    return sealedMark + sealed.toString('base64url');
  }

  /** Undefined for what has not been sealed with this key. */
  unseal(place: string): string | undefined {
    const sealed = Buffer.from(place.slice(sealedMark.length), 'base64url');
    if (sealed.byteLength < nonceBytes + tagBytes) return undefined;
    const decipher = createDecipheriv(algorithm, this.#key, sealed.subarray(0, nonceBytes));
    decipher.setAuthTag(sealed.subarray(-tagBytes));
    try {
      const text = Buffer.concat([decipher.update(sealed.subarray(nonceBytes, -tagBytes)), decipher.final()]);
      return text.toString('utf8').trimEnd();
    } catch {
      return undefined;
    }
  }
}
