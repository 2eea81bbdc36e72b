import type { PeerAdapter } from './adapter.ts';
import { distribution } from './distribution.ts';
import { olareg } from './olareg.ts';
import { trow } from './trow.ts';
import { wherryExecutable } from './wherry.ts';
import { zot } from './zot.ts';

/** The registries looked for on PATH and in .cache/bin; each can also be given with `--peer NAME=PATH`. */
export const foundPeers: readonly PeerAdapter[] = [distribution, zot, olareg, trow];

/** Every registry that `--peer NAME=PATH` understands. */
export const namedPeers: readonly PeerAdapter[] = [...foundPeers, wherryExecutable];
