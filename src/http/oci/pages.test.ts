import { expect, test } from 'bun:test';
import { maxPageItems, nextLink, pageRequestOf } from './pages.ts';

function requested(query: string) {
  return pageRequestOf(new URLSearchParams(query));
}

test('a page is as long as the client wants it, up to a limit', () => {
  expect(requested('')).toEqual({ last: '', limit: maxPageItems });
  expect(requested('n=0')).toEqual({ last: '', limit: 0 });
  expect(requested('n=7&last=a%2Bb')).toEqual({ last: 'a+b', limit: 7 });
  expect(requested(`n=${maxPageItems + 1}`)).toEqual({ last: '', limit: maxPageItems });
  expect(requested('n=999999999999999')).toEqual({ last: '', limit: maxPageItems });
});

test('a number of items that is none is told to the client, shortened', () => {
  expect(requested(`n=${'9'.repeat(80)}`)).toMatchObject({
    code: 'UNSUPPORTED',
    status: 400,
    detail: { n: '9'.repeat(50) },
  });
});

test('a Link says the same to a server as what it was made of', () => {
  const parameters = { artifactType: 'application/vnd.example+json; v="1" & <more>', n: '3', last: 'a/b' };
  const match = /^<\/v2\/a\/tags\/list\?([^<>" ]+)>; rel="next"$/.exec(
    nextLink('/v2/a/tags/list', parameters)['link'] ?? '',
  );
  expect(Object.fromEntries(new URLSearchParams(match?.[1]))).toEqual(parameters);
});
