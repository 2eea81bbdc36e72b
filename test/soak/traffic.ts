import { layerOf, pullImage, pushImage, RefusedPush } from './images.ts';
import { mebibyte } from './soak.ts';
import type { SoakDisk } from './soak-disk.ts';
import type { SoakRegistry } from './soak-registry.ts';

/** So often the disk is looked at, in ms. */
const lookEveryMs = 20;
/** Between two rounds of pulls, in ms. */
const pullEveryMs = 500;
/** So many looks later the registry is asked how it stands. */
const looksAStatus = 25;

export interface Traffic {
  /** Each has a pusher. */
  readonly repositories: readonly string[];
  /** Pulled all the time. */
  readonly favoured: readonly (readonly [repo: string, tag: string])[];
  /** Of the layer that each image has for itself, and of the one that those of a repository share, in MiB. */
  readonly own: number;
  readonly shared: number;
  /** The size of the disk. */
  readonly mebibytes: number;
  /** How much of it is written a second at most. */
  readonly mostShareOfDisk: number;
}

/** What was done, and seen meanwhile. */
export interface Seen {
  /** Which tags, by repository. */
  readonly pushed: ReadonlyMap<string, readonly string[]>;
  readonly writtenBytes: number;
  readonly pulls: number;
  /** Of the disk, or as the registry counts. */
  readonly mostUsedBytes: number;
  /** Since the upper bound was passed. */
  readonly leastUsedBytes: number;
  /** In which the registry said to be. */
  readonly states: ReadonlySet<string>;
  readonly problems: readonly string[];
  readonly tookMs: number;
}

/** Pushes new images until they are five times what the disk holds, and pulls some old ones. */
export async function pushAndPull(
  registry: SoakRegistry,
  disk: SoakDisk,
  { repositories, favoured, own, shared, mebibytes, mostShareOfDisk }: Traffic,
): Promise<Seen> {
  let writtenBytes = 0;
  let mostUsedBytes = 0;
  let leastUsedBytes = Infinity;
  let pulls = 0;
  const pushed = new Map<string, string[]>(repositories.map((repo) => [repo, []]));
  const over = new AbortController();
  const problems: string[] = [];
  const states = new Set<string>();
  const toWriteBytes = 5 * mebibytes * mebibyte;

  const begun = performance.now();
  const push = async ([repo, tags]: readonly [string, string[]]): Promise<void> => {
    const base = layerOf(shared);
    let nextAt = 0;
    for (let build = 0; writtenBytes < toWriteBytes; build++) {
      await Bun.sleep(Math.max(0, nextAt - performance.now()));
      nextAt = performance.now() + (own / (mebibytes * mostShareOfDisk)) * repositories.length * 1000;
      const tag = `build-${build}`;
      const pushBegun = performance.now();
      try {
        await pushImage(registry, { repo, tag, layers: [base, layerOf(own)] });
        writtenBytes += own * mebibyte;
        tags.push(tag);
      } catch (error) {
        problems.push(`${repo}:${tag} after ${Math.round(performance.now() - pushBegun)} ms: ${String(error)}`);
        if (!(error instanceof RefusedPush) || problems.length > 20) return;
      }
    }
  };
  const pull = async (): Promise<void> => {
    while (!over.signal.aborted) {
      for (const [repo, tag] of favoured) {
        await pullImage(registry, repo, tag).catch((error: unknown) => problems.push(`a pull: ${String(error)}`));
        pulls++;
      }
      await Bun.sleep(pullEveryMs);
    }
  };
  const watch = async (): Promise<void> => {
    let hasBeenHigh = false;
    while (!over.signal.aborted) {
      const { state, bounds } = await registry.status();
      states.add(state);
      hasBeenHigh ||= bounds.overHighSince !== undefined;
      // Between two looks of the registry's.
      for (let look = 0; look < looksAStatus && !over.signal.aborted; look++) {
        const usedBytes = disk.usedBytes ?? bounds.usedBytes;
        mostUsedBytes = Math.max(mostUsedBytes, usedBytes);
        if (hasBeenHigh) leastUsedBytes = Math.min(leastUsedBytes, usedBytes);
        await Bun.sleep(lookEveryMs);
      }
    }
  };
  const others = [pull(), watch()];
  await Promise.all([...pushed].map(push));
  const tookMs = performance.now() - begun;
  over.abort();
  await Promise.all(others);
  return { pushed, writtenBytes, pulls, mostUsedBytes, leastUsedBytes, states, problems, tookMs };
}
