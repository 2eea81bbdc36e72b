import type { ProgressLine } from './progress-line.ts';
import { Table } from './table.ts';

/** What a command prints, piece by piece as it comes to know it: for programs, or for a person. */
export interface Printed {
  json(): AsyncIterable<string>;
  text(): AsyncIterable<string>;
  /** Where it could not do all that it was asked to. */
  readonly exitCode?: number;
}

/** One answer. */
export function printed(json: unknown, text: string, exitCode?: number): Printed {
  return {
    async *json() {
      yield `${JSON.stringify(json, undefined, 2)}\n`;
    },
    async *text() {
      yield `${text}\n`;
    },
    ...(exitCode !== undefined && { exitCode }),
  };
}

/** Items in a table, which comes a page at a time. */
export interface Listing<Item> {
  /** Its name in the JSON. */
  readonly name: string;
  readonly pages: AsyncIterable<readonly Item[]>;
  readonly titles: readonly string[];
  readonly rowOf: (item: Item) => readonly string[];
  /** What is printed in place of a table without rows. */
  readonly ifEmpty?: string;
  /** What stands above it: fields of the JSON beside the items, and lines. */
  readonly above?: { readonly json: object; readonly text: string };
}

/** A listing that is printed while its pages come. */
export function listed<Item>(listing: Listing<Item>, progress: ProgressLine): Printed {
  const { name, titles, rowOf, ifEmpty, above } = listing;

  async function* pages(): AsyncGenerator<readonly Item[]> {
    let done = 0;
    for await (const page of listing.pages) {
      progress.clear();
      yield page;
      done += page.length;
      progress.show({ name, done });
    }
    progress.clear();
  }

  return {
    async *json() {
      const fields = Object.entries(above?.json ?? {}).map(
        ([field, value]) => `  ${JSON.stringify(field)}: ${JSON.stringify(value)},\n`,
      );
      yield `{\n${fields.join('')}  ${JSON.stringify(name)}: [`;
      let separator = '\n';
      for await (const page of pages()) {
        for (const item of page) {
          yield `${separator}    ${JSON.stringify(item)}`;
          separator = ',\n';
        }
      }
      yield '\n  ]\n}\n';
    },
    async *text() {
      if (above !== undefined) yield `${above.text}\n\n`;
      const table = new Table(titles);
      for await (const page of pages()) if (page.length > 0) yield `${table.page(page.map(rowOf))}\n`;
      if (table.isEmpty) yield `${ifEmpty ?? table.page([])}\n`;
    },
  };
}

/** The pages of a listing, one after the other. */
export async function* pagesOf<Item>(
  pageAfter: (
    after: string | undefined,
  ) => Promise<{ readonly items: readonly Item[]; readonly next?: string | undefined }>,
): AsyncGenerator<readonly Item[], void, undefined> {
  for (let after: string | undefined; ;) {
    const page = await pageAfter(after);
    yield page.items;
    if (page.next === undefined) return;
    after = page.next;
  }
}
