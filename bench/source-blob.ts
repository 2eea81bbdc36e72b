import { open } from 'node:fs/promises';
import { outputOf } from './command.ts';

const pieceBytes = 4 << 20;

/** A file of random bytes to push, and its digest. */
export interface SourceBlob {
  readonly path: string;
  readonly sizeBytes: number;
  readonly digest: string;
}

async function digestOfFile(path: string): Promise<string> {
  return `sha256:${(await outputOf(['sha256sum', path])).slice(0, 64)}`;
}

/** Writes a file of random bytes. */
export async function writeSourceBlob(path: string, sizeBytes: number): Promise<SourceBlob> {
  const file = await open(path, 'w');
  try {
    const piece = Buffer.alloc(pieceBytes);
    for (let written = 0; written < sizeBytes; written += piece.length) {
      // getRandomValues gives 64 KiB at most.
      for (let at = 0; at < piece.length; at += 65_536) crypto.getRandomValues(piece.subarray(at, at + 65_536));
      await file.write(piece, 0, Math.min(piece.length, sizeBytes - written));
    }
  } finally {
    await file.close();
  }
  return { path, sizeBytes, digest: await digestOfFile(path) };
}

/** Changes the file's first bytes, so that the next round pushes a blob that nobody has seen, and warms the page cache. */
export async function renewSourceBlob(blob: SourceBlob): Promise<SourceBlob> {
  const file = await open(blob.path, 'r+');
  try {
    await file.write(crypto.getRandomValues(Buffer.alloc(32)), 0, 32, 0);
  } finally {
    await file.close();
  }
  return { ...blob, digest: await digestOfFile(blob.path) };
}
