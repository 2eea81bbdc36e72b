import { isAlias, isMap, isScalar, isSeq, type Document, type LineCounter } from 'yaml';

/**
 * The retention policies of a configuration file, as they stand there; or its quotas, who may do what, or what is
 * immutable. src/retention/, src/quotas/, src/access/ and src/immutability/ know what may stand in them.
 */
export interface PoliciesDocument {
  /** Lists, groups and texts; null for what has no value. */
  readonly value: unknown;
  /** Where a part of it stands, such as `wherry.yaml:12`; for what is not there, where it would be. */
  readonly whereIs: (path: readonly PropertyKey[]) => string;
}

/** Takes a part of a YAML document that was read with every scalar as a text. */
export function policiesDocument(
  path: string,
  document: Document,
  lines: LineCounter,
  node: unknown,
): PoliciesDocument {
  const lineOf = (one: unknown): number | undefined => {
    const [start] = isPlaced(one) ? one.range : [];
    return start === undefined ? undefined : lines.linePos(start).line;
  };
  return {
    value: plain(document, node),
    whereIs: (parts) => {
      let here = resolve(document, node);
      let line = lineOf(here);
      for (const part of parts) {
        const found = step(here, part);
        if (found === undefined) break;
        line = lineOf(found.key) ?? lineOf(found.value) ?? line;
        here = resolve(document, found.value);
      }
      return `${path}:${line ?? 1}`;
    },
  };
}

function plain(document: Document, given: unknown): unknown {
  const node = resolve(document, given);
  if (isSeq(node)) return node.items.map((item) => plain(document, item));
  if (isMap(node)) {
    return Object.fromEntries(node.items.map(({ key, value }) => [textOf(key) ?? '', plain(document, value)]));
  }
  return textOf(node) ?? null;
}

function step(node: unknown, part: PropertyKey): { readonly key?: unknown; readonly value: unknown } | undefined {
  if (isMap(node)) return node.items.find(({ key }) => textOf(key) === part);
  return isSeq(node) && typeof part === 'number' && part < node.items.length ? { value: node.items[part] } : undefined;
}

/** Undefined for what is no scalar, or an empty one. */
function textOf(node: unknown): string | undefined {
  if (!isScalar(node)) return undefined;
  const isNothing = node.type === 'PLAIN' && [undefined, '', '~', 'null'].includes(node.source);
  return isNothing ? undefined : String(node.value);
}

function resolve(document: Document, node: unknown): unknown {
  return isAlias(node) ? node.resolve(document) : node;
}

function isPlaced(node: unknown): node is { readonly range: readonly [number, number, number] } {
  return node instanceof Object && 'range' in node && Array.isArray(node.range);
}
