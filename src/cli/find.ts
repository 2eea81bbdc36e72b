import { InvalidArgumentError } from 'commander';
import type { z } from 'zod';
import { parseByteSize } from '../config/byte-size.ts';
import { findInLayers } from '../http/admin/find.ts';
import { printable } from '../oci/quote.ts';
import { adminCommand } from './admin-command.ts';
import type { Listener } from './admin-client.ts';
import type { CommandDefinition } from './command-definition.ts';
import type { Printed } from './printed.ts';
import type { ProgressLine } from './progress-line.ts';
import { bytesText, Table } from './table.ts';

/** What the process ends with, as grep does. */
const exitCodes = { found: 0, nothingFound: 1, couldNotLook: 2 } as const;

/** How many images a row names. */
const imagesInRow = 3;
/** How many digests the hint at the end has. */
const digestsInHint = 20;

interface FindFlags {
  readonly ignoreCase?: boolean;
  readonly repo?: readonly string[];
  readonly digest?: readonly string[];
  readonly maxLayer?: number;
}

type Line = z.output<typeof findInLayers.line>;
type Hit = Extract<Line, { hit: unknown }>['hit'];
type Counts = Extract<Line, { counts: unknown }>['counts'];
type Progress = Extract<Line, { progress: unknown }>['progress'];

/** `wherry find`: which layers hold files of a name. */
export const defineFind: CommandDefinition = (command, end) => {
  command
    .argument(
      '<pattern...>',
      "globs: a file's name, as .env or *.{pem,key}; with a slash its whole path, as **/.ssh/* or etc/shadow",
    )
    .option('-i, --ignore-case', 'take upper and lower case for the same')
    .option('--repo <glob>', 'look only into blobs that such a repository has; may be given more than once', collect)
    .option('--digest <digest>', 'look only into this blob; may be given more than once', collect)
    .option('--max-layer <size>', 'read so much of a layer, decompressed (default: 64GiB)', sizeOf)
    .addHelpText(
      'after',
      `
It looks into whatever is a tar archive, compressed with gzip or zstd or not, whatever holds it: also into what only the
trash keeps. Ends with 0 where it has found something, 1 where there is nothing, 2 where it could not look, or not into
everything, and has found nothing in the rest.`,
    );
  adminCommand(
    command,
    end,
    (admin, { args, flags, progress }) => Promise.resolve(found(admin, args, flags, progress)),
    exitCodes.couldNotLook,
  );
};

function found(admin: Listener, patterns: readonly string[], flags: FindFlags, progress: ProgressLine): Printed {
  const { ignoreCase = false, repo: repositories = [], digest: digests = [], maxLayer: maxLayerBytes } = flags;
  const body = { patterns, ignoreCase, repositories, digests, ...(maxLayerBytes !== undefined && { maxLayerBytes }) };
  let counts: Counts | undefined;

  async function* lines(): AsyncGenerator<Exclude<Line, { progress: unknown } | { errors: unknown }>> {
    for await (const line of admin.listen(findInLayers, { body })) {
      if ('errors' in line) continue;
      if ('progress' in line) {
        progress.tell(progressText(line.progress));
        continue;
      }
      if ('counts' in line) ({ counts } = line);
      progress.clear();
      yield line;
    }
  }

  return {
    async *json() {
      for await (const line of lines()) yield `${JSON.stringify('hit' in line ? line.hit : line)}\n`;
    },
    async *text() {
      const table = new Table(['SIZE', 'BLOB', 'USED BY', 'PATH']);
      const blobs = new Set<string>();
      for await (const line of lines()) {
        if ('hit' in line) {
          yield `${table.page([rowOf(line.hit)])}\n`;
          if (blobs.size <= digestsInHint) blobs.add(line.hit.digest);
        } else if ('unread' in line) {
          const { digest, reason } = line.unread;
          console.error(`${digest} could not be read to its end: ${printable(reason)}`);
        } else {
          console.error(summaryOf(line.counts, blobs));
        }
      }
    },
    get exitCode() {
      if (counts === undefined) return exitCodes.couldNotLook;
      if (counts.found > 0) return exitCodes.found;
      return counts.unread > 0 ? exitCodes.couldNotLook : exitCodes.nothingFound;
    },
  };
}

/** Names in layers are anybody's. */
function rowOf({ path, type, entrySizeBytes, linkTarget, isWhiteout, digest, ...uses }: Hit): readonly string[] {
  const target = linkTarget === undefined ? '' : ` -> ${printable(linkTarget)}`;
  const shown = `${printable(path)}${type === 'directory' ? '/' : ''}${target}`;
  return [bytesText(entrySizeBytes), digest, usesText(uses), isWhiteout ? `${shown} (removed here)` : shown];
}

function usesText({
  images,
  manifestCount,
  repositories,
  repositoryCount,
}: Pick<Hit, 'images' | 'manifestCount' | 'repositories' | 'repositoryCount'>): string {
  const names = images.slice(0, imagesInRow).map(({ target, isInTrash }) => `${target}${isInTrash ? ' (trash)' : ''}`);
  if (names.length === 0) {
    const [first = 'nothing'] = repositories;
    return repositoryCount > 1 ? `no image, in ${first} and ${repositoryCount - 1} more` : `no image, in ${first}`;
  }
  const isAll = images.length <= imagesInRow && manifestCount <= imagesInRow;
  const inAll = `; ${manifestCount} manifests in ${repositoryCount} ${repositoryCount === 1 ? 'repository' : 'repositories'}`;
  return `${names.join(', ')}${isAll ? '' : `, …${inAll}`}`;
}

function summaryOf(
  { found: entries, blobsWithFound, blobs, bytes, noArchives, unread }: Counts,
  digests: ReadonlySet<string>,
): string {
  const looked = `looked into ${blobs} blobs (${bytesText(bytes)}); ${noArchives} of them are no archives`;
  const withUnread = unread === 0 ? looked : `${looked}, ${unread} could not be read to their ends`;
  if (entries === 0) return `nothing found: ${withUnread}`;
  const named = digests.size > digestsInHint ? 'DIGEST…' : [...digests].join(' ');
  return `found ${entries} in ${blobsWithFound} blobs: ${withUnread}\nto take them out of the registry at once: wherry purge ${named} --why TEXT`;
}

function progressText({ blobs, bytes, totalBlobs, totalBytes }: Progress): string {
  const ofBlobs = totalBlobs === undefined ? '' : ` of ${totalBlobs.toLocaleString('en')}`;
  const ofBytes = totalBytes === undefined ? '' : ` of ${bytesText(totalBytes)}`;
  return `${blobs.toLocaleString('en')}${ofBlobs} blobs, ${bytesText(bytes)}${ofBytes}`;
}

function collect(text: string, before: readonly string[] = []): readonly string[] {
  return [...before, text];
}

function sizeOf(text: string): number {
  const parsed = parseByteSize(text);
  if (!parsed.ok) throw new InvalidArgumentError(parsed.problem);
  if (parsed.sizeBytes === 0) throw new InvalidArgumentError('nothing could be read');
  return parsed.sizeBytes;
}
