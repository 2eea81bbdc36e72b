import { z } from 'zod';
import { type LayerReader, ReaderEndedError } from '../../find/layer-reader.ts';
import { PathPattern } from '../../find/path-pattern.ts';
import { search, type SearchNews, type SearchScope } from '../../find/search.ts';
import { digestGrammar, parseDigest } from '../../oci/digest.ts';
import { quote } from '../../oci/quote.ts';
import type { Registry } from '../../registry/registry.ts';
import { parseRepositoryGlob } from '../../retention/pattern.ts';
import { errors, errorsOf } from '../errors.ts';
import { linesEndpoint, nothing } from './endpoint.ts';
import { withPauses } from './lines.ts';

/** How much of a layer is read where it is not said, decompressed: more than layers have, less than a bomb. */
const defaultLayerBytes = 64 * 1024 ** 3;
/** How often it is told how far it has come, in ms. */
const tellEveryMs = 250;

const count = z.number().int();

const blob = { digest: z.string(), sizeBytes: count };

const progress = z.object({
  blobs: count,
  bytes: count,
  /** Of how many, where that is known. */
  totalBlobs: count.optional(),
  totalBytes: count.optional(),
});

const hit = z.object({
  ...blob,
  /** What a manifest says that the blob is. */
  mediaType: z.string().optional(),
  /** Below the root of the image. */
  path: z.string(),
  type: z.enum(['file', 'directory', 'symlink', 'hard link', 'device', 'fifo', 'other']),
  entrySizeBytes: count,
  linkTarget: z.string().optional(),
  /** It says that the path of a layer below is not there any more. */
  isWhiteout: z.boolean(),
  /** Some of those that have the blob, and how many do. */
  repositories: z.array(z.string()),
  repositoryCount: count,
  /** Some of the tags, and untagged manifests, that have it, and how many manifests need it. */
  images: z.array(z.object({ target: z.string(), isInTrash: z.boolean() })),
  manifestCount: count,
});

const line = z.union([
  z.object({ progress }),
  z.object({ hit }),
  /** A blob that could not be read to its end. */
  z.object({ unread: z.object({ ...blob, reason: z.string() }) }),
  /** The last line of a search that came to its end. */
  z.object({
    counts: z.object({
      found: count,
      blobsWithFound: count,
      blobs: count,
      bytes: count,
      noArchives: count,
      unread: count,
    }),
  }),
  errors,
]);

type Line = z.input<typeof line>;

/** Texts, each of which has to be what `parse` takes. */
function list<T>(
  most: number,
  parse: (text: string) => { readonly value: T } | { readonly problem: string },
  description: { readonly pattern?: string } = {},
) {
  const item = z
    .string()
    .meta(description)
    .transform((text, context): T => {
      const parsed = parse(text);
      if ('value' in parsed) return parsed.value;
      context.addIssue({ code: 'custom', message: `${quote(text)}: ${parsed.problem}` });
      return z.NEVER;
    });
  return z.array(item).max(most);
}

const repositories = list(100, (text) => {
  const parsed = parseRepositoryGlob(text);
  return parsed.ok ? { value: parsed.glob } : parsed;
});

const digests = list(
  500,
  (text) => {
    const value = parseDigest(text);
    return value === undefined ? { problem: 'this is no digest' } : { value };
  },
  { pattern: `^(${digestGrammar})$` },
);

/** They are sent on as they are, to whoever looks. */
const patterns = list(100, (text) => {
  const parsed = PathPattern.parse(text, { ignoresCase: false });
  return parsed.ok ? { value: text } : parsed;
});

export const findInLayers = linesEndpoint({
  method: 'POST',
  path: '/find',
  action: 'admin',
  refusals: [409],
  summary:
    'Looks for files in the layers of all blobs, or of some, by their names. Answers in lines: what it finds, which blobs could not be read to their ends, how far it has come, and at the end the counts.',
  query: nothing,
  body: z.strictObject({
    /** Globs; without a slash they are for the last component of a path. */
    patterns: patterns.min(1),
    ignoreCase: z.boolean().default(false),
    /** Globs: only blobs that one of these repositories has. */
    repositories: repositories.default([]),
    /** Only these blobs. */
    digests: digests.default([]),
    /** How much of a layer is read, decompressed, in bytes. */
    maxLayerBytes: z.number().int().min(1).default(defaultLayerBytes),
  }),
  line,
  handle({ admin, registry }, { body: { patterns: texts, ignoreCase, maxLayerBytes, ...scope } }) {
    const reader = admin.layers.begin({ patterns: texts, ignoresCase: ignoreCase, maxLayerBytes });
    if (reader !== undefined) return { lines: linesOf(registry, scope, reader) };
    const message = 'a search is under way: wait until it has ended, or end the command that has begun it';
    return { problem: { code: 'DENIED', status: 409, message } };
  },
});

/** The search ends with whoever listens. */
async function* linesOf(
  registry: Registry,
  scope: SearchScope,
  reader: LayerReader,
): AsyncGenerator<Line, void, undefined> {
  const searching = search(registry, scope, reader);
  let latest: z.input<typeof progress> = { blobs: 0, bytes: 0 };
  let toldAt = performance.now();
  try {
    for (;;) {
      for await (const next of withPauses(searching.next())) {
        if (next?.done === true) return;
        if (next !== undefined) {
          const { value } = next;
          // Whoever reads that it is over may begin another one.
          if ('counts' in value) reader.end();
          if ('progress' in value) latest = value.progress;
          else yield lineOf(value);
        }
        if (next !== undefined && performance.now() - toldAt < tellEveryMs) continue;
        toldAt = performance.now();
        yield { progress: latest };
      }
    }
  } catch (error) {
    if (!(error instanceof ReaderEndedError)) throw error;
    yield errorsOf({ code: 'UNAVAILABLE', message: error.message });
  } finally {
    reader.end();
    await searching.return();
  }
}

function lineOf(news: Exclude<SearchNews, { progress: unknown }>): Line {
  if ('counts' in news) return news;
  if ('unread' in news) return { unread: { ...news.unread.blob, reason: news.unread.reason } };
  const { blob: told, uses, entry } = news.hit;
  const { sizeBytes: entrySizeBytes, ...rest } = entry;
  const { repositories: repos, images } = uses;
  return { hit: { ...told, ...rest, ...uses, entrySizeBytes, repositories: [...repos], images: [...images] } };
}
