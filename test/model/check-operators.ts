import { type Target, targetText } from '../../src/oci/target.ts';
import { pinPage, type PinPosition, pinTargetText } from '../../src/registry/pin.ts';
import { positionOf, trashPage } from '../../src/registry/trash/trash.ts';
import { Broken } from './broken.ts';
import type { Reference } from './reference/reference.ts';
import { type InTrash, trashOf } from './reference/trash-listing.ts';
import { repositories } from './universe.ts';
import type { World } from './world.ts';

/** So few on a page that there are several pages now and then. */
const pageSize = 3;

/** What operators are shown of the trash and of the pins is what there is, in the order of the lists, each thing once. */
export async function checkOperators(world: World, model: Reference): Promise<void> {
  compare('the trash', await listedTrash(world), trashOf(model).map(shown));
  compare('the list of pins', await listedPins(world), pinsOf(model));
}

async function listedTrash({ onlooker }: World): Promise<readonly string[]> {
  const listed: string[] = [];
  for (let after: Target | undefined; ;) {
    const page = await trashPage(onlooker, { repo: undefined, after, limit: pageSize });
    listed.push(...page.map((entry) => shown({ ...positionOf(entry), until: entry.until })));
    const last = page.at(-1);
    if (last === undefined || page.length < pageSize) return listed;
    after = positionOf(last);
  }
}

function shown({ until, ...target }: InTrash): string {
  return `${targetText(target)} until ${until}`;
}

async function listedPins({ onlooker }: World): Promise<readonly string[]> {
  const listed: string[] = [];
  for (let after: PinPosition; ;) {
    const page = await pinPage(onlooker, after, pageSize);
    listed.push(...page.map((pin) => `${pinTargetText(pin)}: ${pin.reason}`));
    const last = page.at(-1);
    if (last === undefined || page.length < pageSize) return listed;
    after = last;
  }
}

function pinsOf(model: Reference): readonly string[] {
  return repositories.flatMap((repo) =>
    [...model.in(repo).pins].map(([key, reason]) => {
      const [kind, name] = key.split(' ');
      const text = kind === 'repository' ? repo : `${repo}${kind === 'tag' ? ':' : '@'}${name}`;
      return `${text}: ${reason}`;
    }),
  );
}

function compare(what: string, listed: readonly string[], expected: readonly string[]): void {
  const [found, should] = [listed, expected].map((each) => each.toSorted((a, b) => (a < b ? -1 : 1)).join(', '));
  if (found !== should) throw new Broken(`${what} shows "${found}" where it should be "${should}"`);
}
