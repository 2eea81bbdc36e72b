import { expect, test } from 'bun:test';
import { listed, pagesOf } from './printed.ts';
import { ProgressLine } from './progress-line.ts';

const nowhere = new ProgressLine({ isTTY: false, write: () => undefined });

/** Three items in two pages; `asked` counts the pages that were asked for. */
function items() {
  const asked: (string | undefined)[] = [];
  const pages = pagesOf(async (after) => {
    asked.push(after);
    return after === undefined ? { items: ['a', 'b'], next: 'b' } : { items: ['longer'] };
  });
  return { asked, listing: { name: 'items', pages, titles: ['NAME'], rowOf: (item: string) => [item] } };
}

test('a listing is printed while its pages come: the first is out before the second is asked for', async () => {
  const { asked, listing } = items();
  const text = listed(listing, nowhere).text()[Symbol.asyncIterator]();
  expect(await text.next()).toEqual({ done: false, value: 'NAME\na\nb\n' });
  expect(asked).toEqual([undefined]);
  expect(await text.next()).toEqual({ done: false, value: 'longer\n' });
  expect(asked).toEqual([undefined, 'b']);
  expect((await text.next()).done).toBe(true);
});

test('a listing is one JSON text, whatever stands above it, and however it comes', async () => {
  const { listing } = items();
  const above = { json: { sum: 3, also: { deep: true } }, text: 'SUM 3' };
  const pieces = await Array.fromAsync(listed({ ...listing, above }, nowhere).json());
  expect(pieces.length).toBeGreaterThan(3);
  expect(JSON.parse(pieces.join(''))).toEqual({ ...above.json, items: ['a', 'b', 'longer'] });
});

test('a listing without items says so, and is JSON too', async () => {
  const empty = () => ({ ...items().listing, pages: pagesOf<string>(async () => ({ items: [] })) });
  expect((await Array.fromAsync(listed({ ...empty(), ifEmpty: 'Nothing.' }, nowhere).text())).join('')).toBe(
    'Nothing.\n',
  );
  expect((await Array.fromAsync(listed(empty(), nowhere).text())).join('')).toBe('NAME\n');
  expect(JSON.parse((await Array.fromAsync(listed(empty(), nowhere).json())).join(''))).toEqual({ items: [] });
});

test('how much of a listing has come is shown at a terminal, and not in the way of its rows', async () => {
  const written: string[] = [];
  let now = 0;
  const progress = new ProgressLine({ isTTY: true, write: (text) => written.push(text) }, () => (now += 1000));
  for await (const text of listed(items().listing, progress).text()) written.push(text);
  expect(written).toEqual([
    'NAME\na\nb\n',
    '\r\u001B[K2 items',
    '\r\u001B[K',
    'longer\n',
    '\r\u001B[K3 items',
    '\r\u001B[K',
  ]);
});
