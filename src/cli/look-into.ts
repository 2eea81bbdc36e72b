import { constants, setPriority } from 'node:os';
import { DirectoryBlobStore } from '../blobs/directory/store.ts';
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
    .action(async ({ data }: { readonly data: string }) => end(await lookForServer(data)));
};

/** Ends with its input. */
async function lookForServer(directory: string): Promise<number> {
  // Requests come first.
  setPriority(constants.priority.PRIORITY_BELOW_NORMAL);
  const blobs = DirectoryBlobStore.openForReading(directory);
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
