import { constants, setPriority } from 'node:os';
import { DirectoryBlobStore } from '../blobs/directory/store.ts';
import { s3SettingsInJson } from '../blobs/s3/settings-json.ts';
import type { BlobStore } from '../blobs/store.ts';
import { type LayerReader, StoreLayerReader } from '../find/layer-reader.ts';
import type { LookNews } from '../find/look-into.ts';
import { lookRequest } from '../find/look-lines.ts';
import { jsonLines } from '../json-lines.ts';
import type { CommandDefinition } from './command-definition.ts';
import { exitCodes } from './exit-codes.ts';

/** `wherry look-into`: looks into layers for the server that has started it, which asks in lines of JSON. */
export const defineLookInto: CommandDefinition = (command, end) => {
  command
    .requiredOption('--data <directory>', 'the data directory')
    .option('--bucket <settings>', 'where the blobs lie if they do not lie there, in JSON')
    .action(async (flags: Flags) => end(await lookForServer(flags)));
};

interface Flags {
  readonly data: string;
  readonly bucket?: string;
}

async function openToRead({ data, bucket }: Flags): Promise<Pick<BlobStore, 'read'>> {
  if (bucket === undefined) return DirectoryBlobStore.openForReading(data);
  const { S3BlobStore } = await import('../blobs/s3/store.ts');
  return await S3BlobStore.open(s3SettingsInJson.parse(JSON.parse(bucket)));
}

/** Ends with its input. */
async function lookForServer(flags: Flags): Promise<number> {
  // Requests come first.
  setPriority(constants.priority.PRIORITY_BELOW_NORMAL);
  const blobs = await openToRead(flags);
  let reader: LayerReader | undefined;
  let looking: AsyncGenerator<LookNews, void, undefined> | undefined;
  for await (const line of jsonLines(Bun.stdin.stream())) {
    const request = lookRequest.parse(line);
    if ('wanted' in request) {
      reader = new StoreLayerReader(blobs, request.wanted);
      continue;
    }
    if ('oid' in request) looking = reader?.lookInto(request.oid);
    const news = await looking?.next();
    if (news === undefined || news.done === true) throw new Error('it was asked for more than there is');
    await Bun.write(Bun.stdout, `${JSON.stringify(news.value)}\n`);
  }
  return exitCodes.success;
}
