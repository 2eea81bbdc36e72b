import { digestOf } from '../../src/oci/digest.ts';
import { Broken } from './broken.ts';
import type { World } from './world.ts';

/** One file for each digest, of its bytes. */
export async function checkFiles(world: World, digests: ReadonlySet<string>): Promise<void> {
  const files = await world.files();
  const { objects } = await world.seen();
  const found = new Set<string>();
  for (const [oid, bytes] of files) {
    const digest = digestOf('sha256', bytes);
    const object = objects.find((each) => each.oid === oid);
    if (object?.digest !== digest || found.has(digest)) throw new Broken(`the file ${oid} belongs to nothing`);
    found.add(digest);
  }
  const lost = [...digests].filter((digest) => !found.has(digest));
  const left = [...found].filter((digest) => !digests.has(digest));
  if (lost.length > 0) throw new Broken(`there is no file for ${lost.join(', ')}`);
  if (left.length > 0) throw new Broken(`nothing needs the files of ${left.join(', ')}`);
  if (objects.length !== files.size) throw new Broken('an object has no file');
}
