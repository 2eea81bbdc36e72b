import { expect, setDefaultTimeout, test } from 'bun:test';
import { CountedMetadata } from '../../bench/collect/counted-metadata.ts';
import { findInLayers } from '../../src/http/admin/find.ts';
import { askForLines, linesOf } from '../admin/asked-lines.ts';
import { pushImage } from '../admin/pushed-images.ts';
import { ServedRegistry } from '../http/served-registry.ts';
import { archive, file } from './archives.ts';

setDefaultTimeout(60_000);

const repo = 'team/app';
/** Rows that a turn of the event loop may read: a page, and what names some images. */
const mostRowsInTurn = 2500;

/** Copies what a repository has to many others, behind the server's back. */
function copyRepository(registry: ServedRegistry, copies: number): void {
  for (const table of ['repository', 'link', 'manifest', 'manifest_blob', 'tag']) {
    const columns = registry.tables.columns(table);
    const name = table === 'repository' ? 'name' : 'repo';
    const copied = columns.map((column) => (column === name ? `'many/r' || n` : column));
    registry.tables.change(`insert into ${table} (${columns.join(', ')})
      with recursive number(n) as (select 1 union all select n + 1 from number where n < ${copies})
      select ${copied.join(', ')} from number, ${table}`);
  }
}

async function found(registry: ServedRegistry, body: object) {
  const lines = await Array.fromAsync(linesOf(findInLayers, await askForLines(registry, '/find', body)));
  return lines.flatMap((line) => ('hit' in line ? [line.hit] : []));
}

/** The most rows that were read in one turn of the event loop while something ran. */
async function mostRowsOf(counted: CountedMetadata, running: Promise<unknown>): Promise<number> {
  const state = { isOver: false };
  const over = running.finally(() => (state.isOver = true));
  let most = 0;
  counted.take();
  while (!state.isOver) {
    await new Promise(setImmediate);
    most = Math.max(most, counted.take().rows);
  }
  await over;
  return most;
}

test('a search for a blob that thousands of repositories have reads no more in a turn than a page', async () => {
  await using registry = await ServedRegistry.start();
  await pushImage(registry, repo, { tags: ['x'], layers: [archive(file('.env'))] });
  await registry.stop();
  const copies = 6000;
  copyRepository(registry, copies);
  let counted: CountedMetadata | undefined;
  registry.wrapMetadata = (metadata) => (counted = new CountedMetadata(metadata));
  await registry.resume();
  if (counted === undefined) throw new Error('the registry has not wrapped its metadata');

  const everywhere = found(registry, { patterns: ['.env'] });
  expect(await mostRowsOf(counted, everywhere)).toBeLessThan(mostRowsInTurn);
  const [hit, ...others] = await everywhere;
  expect(others).toEqual([]);
  expect(hit).toMatchObject({ repositoryCount: copies + 1, manifestCount: copies + 1 });
  expect(hit?.repositories).toHaveLength(20);
  expect(hit?.images).toHaveLength(20);

  // The last of them in the order of the database.
  const inOne = found(registry, { patterns: ['.env'], repositories: [repo] });
  expect(await mostRowsOf(counted, inOne)).toBeLessThan(mostRowsInTurn);
  expect(await inOne).toHaveLength(1);
  const inNone = found(registry, { patterns: ['.env'], repositories: ['nobody/*'] });
  expect(await mostRowsOf(counted, inNone)).toBeLessThan(mostRowsInTurn);
  expect(await inNone).toEqual([]);
});
