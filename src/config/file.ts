import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument } from 'yaml';
import type { Document, Node } from 'yaml';
import { suggestion } from './nearest.ts';
import { policiesDocument, type PoliciesDocument } from './policies-document.ts';
import { settable } from './settings.ts';
import type { FoundValue, SourceReading } from './source.ts';

const names = settable.map(({ name }) => name);

/** The keys that are no settings: what stands under each is a document of its own. */
const documentKeys = ['policies', 'quotas', 'access', 'groups', 'issuers', 'immutable'] as const;

/**
 * Reads a configuration file's text (YAML). Each setting stands nested, as its name says: `windows.lease` is the key
 * `lease` under the key `windows`. Keys that are no setting are refused; `policies`, `quotas`, `access`, `groups`,
 * `issuers` and `immutable` are handed on as they stand.
 */
export function readConfigFile(path: string, text: string): SourceReading {
  const lines = new LineCounter();
  // With everything read as text, `lease: 6h` and `lease: 0` go through the same parser as in the other sources.
  const document = parseDocument(text, { lineCounter: lines, schema: 'failsafe', prettyErrors: false });
  const whereIs = (offset: number): string => `${path}:${lines.linePos(offset).line}`;
  const problems = [...document.errors, ...document.warnings].map(
    ({ pos, message }) => `${whereIs(pos[0])}: this is not valid YAML: ${message}`,
  );
  if (problems.length > 0) return { found: [], problems };

  const found: FoundValue[] = [];
  const documents: { [Key in (typeof documentKeys)[number]]?: PoliciesDocument } = {};
  visit(document.contents, '', path);
  return { found, problems, ...documents };

  function visit(given: unknown, name: string, parentWhere: string): void {
    const node = resolve(given, document);
    const where = isPlaced(node) ? whereIs(node.range[0]) : parentWhere;
    const isNothing = node === null || (isScalar(node) && isEmptyText(node.source, node.type));
    const isSetting = names.includes(name);
    if (node === undefined) {
      problems.push(`${parentWhere}: ${name} refers to an anchor that does not stand before it`);
    } else if (isMap(node) && (name === '' || isGroup(name))) {
      for (const { key, value } of node.items) visitKey(key, value, name);
    } else if (isSetting && isNothing) {
      problems.push(`${where}: ${name} has no value`);
    } else if (isSetting && isScalar(node)) {
      found.push({ name, value: String(node.value), kind: 'file', where });
    } else if (isSetting && isSeq(node)) {
      const elements = node.items.map((item) => resolve(item, document));
      if (elements.every((element) => isScalar(element))) {
        const value = elements.map((element) => String(element.value));
        found.push({ name, value, kind: 'file', where });
      } else {
        problems.push(`${where}: ${name} is a list of something else than texts`);
      }
    } else if (isSetting) {
      problems.push(`${where}: ${name} is a single value, not a group of settings`);
    } else if (!isNothing) {
      const whole = name === '' ? 'the file' : name;
      problems.push(`${where}: ${whole} is a group of settings, not a single value`);
    }
  }

  function visitKey(key: unknown, value: unknown, group: string): void {
    const where = isPlaced(key) ? whereIs(key.range[0]) : path;
    if (!isScalar(key)) {
      problems.push(`${where}: a key is not a word`);
      return;
    }
    const word = String(key.value);
    const name = group === '' ? word : `${group}.${word}`;
    const documentKey = documentKeys.find((one) => one === name);
    if (documentKey !== undefined) {
      const given = policiesDocument(path, document, lines, value);
      if (given.value !== null) documents[documentKey] = given;
    } else if (word.includes('.') && names.includes(name)) {
      problems.push(`${where}: write ${name} as a key under the key ${name.slice(0, name.lastIndexOf('.'))}`);
    } else if (names.includes(name) || isGroup(name)) {
      visit(value, name, where);
    } else {
      problems.push(`${where}: ${name} is not a setting${hintFor(name, word)}`);
    }
  }
}

function isGroup(name: string): boolean {
  return names.some((other) => other.startsWith(`${name}.`));
}

/** A key that is right but in the wrong group is found by its last word. */
function hintFor(name: string, word: string): string {
  const elsewhere = names.find((other) => other.endsWith(`.${word}`));
  if (elsewhere !== undefined) return ` (did you mean ${elsewhere}?)`;
  const groups = names.filter((other) => other.includes('.')).map((other) => other.slice(0, other.lastIndexOf('.')));
  return suggestion(name, [...names, ...groups, ...documentKeys]);
}

function isEmptyText(source: string | undefined, type: string | undefined): boolean {
  return type === 'PLAIN' && (source === undefined || source === '' || source === '~' || source === 'null');
}

function resolve(node: unknown, document: Document): unknown {
  return isAlias(node) ? node.resolve(document) : node;
}

function isPlaced(node: unknown): node is Node & { range: [number, number, number] } {
  return node instanceof Object && 'range' in node && Array.isArray(node.range);
}
