import { type LayerBounds, layerEntries, type LayerEnd, type LayerEntry } from './layer-entries.ts';
import { PathPattern } from './path-pattern.ts';

/** What is looked for, and how far. */
export interface Wanted extends LayerBounds {
  /** Any of them; each has been parsed before. */
  readonly patterns: readonly string[];
  readonly ignoresCase: boolean;
}

/** An entry whose path one of the patterns matches. */
export interface FoundEntry extends LayerEntry {
  /** It says that `path` of a layer below is not there any more (image-spec layer.md, "Whiteouts"). */
  readonly isWhiteout: boolean;
}

/** How far looking into a blob has come. */
export interface LookNews {
  /** What was found since the last news. */
  readonly found: readonly FoundEntry[];
  /** How much of the blob was read since then, in bytes. */
  readonly readBytes: number;
  /** Only in the last one. */
  readonly end?: LookEnd | undefined;
}

export type LookEnd =
  | LayerEnd
  /** It was collected, or purged, meanwhile. */
  | { readonly kind: 'gone' };

/** So many are told of at once. */
const foundPerNews = 200;
/** How often it is told how far it has come, in ms. */
const tellEveryMs = 200;

const whiteoutPrefix = '.wh.';

/** Looks for entries of a blob. It goes on when the next news are asked for. @throws what the chunks fail with */
export async function* lookInto(
  chunks: AsyncIterable<Uint8Array>,
  { patterns: texts, ignoresCase, maxLayerBytes }: Wanted,
): AsyncGenerator<LookNews, void, undefined> {
  const patterns = texts.map((text) => parsed(text, ignoresCase));
  let found: FoundEntry[] = [];
  let readBytes = 0;
  async function* counted(): AsyncGenerator<Uint8Array, void, undefined> {
    for await (const chunk of chunks) {
      readBytes += chunk.byteLength;
      yield chunk;
    }
  }
  const entries = layerEntries(counted(), { maxLayerBytes });
  const news = (end?: LookEnd): LookNews => {
    const told = { found, readBytes, end };
    [found, readBytes] = [[], 0];
    return told;
  };
  let pause = new Pause(tellEveryMs);
  try {
    for (let next = entries.next(); ;) {
      const result = found.length < foundPerNews ? await Promise.race([next, pause.over]) : undefined;
      if (result === undefined) {
        yield news();
        pause.end();
        pause = new Pause(tellEveryMs);
        continue;
      }
      if (result.done === true) return yield news(result.value);
      const entry = foundEntry(result.value, patterns);
      if (entry !== undefined) found.push(entry);
      next = entries.next();
    }
  } finally {
    pause.end();
    await entries.return({ kind: 'whole' });
  }
}

class Pause {
  readonly over: Promise<undefined>;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(ms: number) {
    this.over = new Promise((resolve) => {
      this.#timer = setTimeout(resolve, ms, undefined);
    });
  }

  end(): void {
    clearTimeout(this.#timer);
  }
}

function parsed(text: string, ignoresCase: boolean): PathPattern {
  const result = PathPattern.parse(text, { ignoresCase });
  if (!result.ok) throw new RangeError(`${text}: ${result.problem}`);
  return result.pattern;
}

/** A whiteout is found by the name that it takes away, and by its own. */
function foundEntry(entry: LayerEntry, patterns: readonly PathPattern[]): FoundEntry | undefined {
  const nameAt = entry.path.lastIndexOf('/') + 1;
  const name = entry.path.slice(nameAt);
  const isWhiteout = name.startsWith(whiteoutPrefix) && !name.startsWith(whiteoutPrefix, whiteoutPrefix.length);
  const hidden = entry.path.slice(0, nameAt) + name.slice(whiteoutPrefix.length);
  const path = isWhiteout ? hidden : entry.path;
  // The root itself has no name.
  const isWanted =
    entry.path !== '' &&
    patterns.some((pattern) => pattern.matches(path) || (isWhiteout && pattern.matches(entry.path)));
  return isWanted ? { ...entry, path, isWhiteout } : undefined;
}
