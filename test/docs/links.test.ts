import { expect, test } from 'bun:test';
import { existsSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import packageJson from '../../package.json' with { type: 'json' };
import { sections, settable } from '../../src/config/settings.ts';
import { codeIn, type Document, linksIn, projectDirectory, readDocument, readDocuments } from './documents.ts';

const documents = readDocuments();

test('every relative link leads to a file, and to a heading of it', () => {
  expect(
    lacking(({ path, paragraphs }) =>
      paragraphs
        .flatMap((paragraph) => linksIn(paragraph))
        .filter((link) => !/^[a-z]+:/.test(link) && !leadsSomewhere(path, link)),
    ),
  ).toEqual([]);
});

test('every path exists: from the root, from src/, beside its page, or in a folder that its paragraph has named', () => {
  expect(lacking(({ path, paragraphs }) => paragraphs.flatMap((text) => pathsLackingIn(text, dirname(path))))).toEqual(
    [],
  );
});

test('every npm script exists', () => {
  const scripts = Object.keys(packageJson.scripts);
  expect(
    lacking((document) =>
      everyCodeOf(document)
        .flatMap((code) => /^npm run ([\w-]+)/.exec(code)?.[1] ?? [])
        .filter((script) => !scripts.includes(script)),
    ),
  ).toEqual([]);
});

test('every setting exists', () => {
  const names = new Set(settable.map(({ name }) => name));
  const groups = sections.map(({ name }) => name).filter((name) => name !== '');
  const setting = new RegExp(`^(${groups.join('|')})\\.[A-Za-z.]+$`);
  expect(
    lacking((document) =>
      everyCodeOf(document).filter((code) => setting.test(code) && !isFile(code) && !names.has(code)),
    ),
  ).toEqual([]);
});

test('every room is on the map', () => {
  const rooms = readdirSync(join(projectDirectory, 'src'), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => `src/${entry.name}/`);
  const named = new Set(everyCodeOf(readDocument('ARCHITECTURE.md')));
  expect(rooms.filter((room) => !named.has(room))).toEqual([]);
});

/** What is named and not there, with the page that names it. */
function lacking(find: (document: Document) => readonly string[]): readonly string[] {
  return documents.flatMap((document) => find(document).map((name) => `${document.path}: ${name}`));
}

function everyCodeOf({ paragraphs }: Document): readonly string[] {
  return paragraphs.flatMap((paragraph) => codeIn(paragraph));
}

function leadsSomewhere(from: string, link: string): boolean {
  const [file = '', anchor] = link.split('#');
  const target = file === '' ? from : join(dirname(from), file);
  return isThere(target) && (anchor === undefined || readDocument(target).anchors.has(anchor));
}

/** A file's bare name is sought in the folders that the paragraph has named so far, where it has named any. */
function pathsLackingIn(paragraph: string, pageFolder: string): readonly string[] {
  const named: string[] = [];
  return codeIn(paragraph).filter((code) => {
    if (!looksLikePath(code)) return false;
    const isBare = !code.includes('/') && named.length > 0;
    const folders = isBare && pageFolder === '.' ? named : ['', 'src', pageFolder, ...named];
    const found = folders.map((folder) => join(folder, code)).find((path) => isThere(path));
    if (found !== undefined) named.push(isFile(found) ? dirname(found) : found);
    return found === undefined;
  });
}

/** Names with a slash between or behind them, or the name of a file; not what a registry or a command makes. */
function looksLikePath(code: string): boolean {
  const isPath = /^[\w.-]+(\/[\w.-]+)*\/?$/.test(code) && (code.includes('/') || isFile(code));
  return isPath && !/^(\.|\.cache|dist|data|objects|quarantine|application)\/|^CLIENT\./.test(code);
}

function isFile(code: string): boolean {
  return /\.(ts|mjs|json|md)$/.test(code);
}

function isThere(path: string): boolean {
  return existsSync(join(projectDirectory, path));
}
