import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';

/** A secret that the registry has made: 256 random bits after a prefix by which leak scanners, and people, know it. */
export function newSecret(prefix: string): string {
  return prefix + randomBytes(32).toString('base64url');
}

/**
 * What is kept of such a secret: its SHA-256, in hexadecimal digits. A slow hash is for what people choose; 256 random
 * bits cannot be guessed however fast each guess is (ADR 13).
 */
export function secretHashOf(secret: string): string {
  return createHash('sha256').update(secret).digest('hex');
}

/** Whether a secret is the one that is kept as `hash`, in a time that tells nothing of either. */
export function isSecretOf(hash: string, secret: string): boolean {
  const given = Buffer.from(secretHashOf(secret));
  const kept = Buffer.from(hash);
  return given.byteLength === kept.byteLength && timingSafeEqual(given, kept);
}
