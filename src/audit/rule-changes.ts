import { quote } from '../oci/quote.ts';

/** So many rules are named; how many more there are is told. */
const mostNamed = 10;

/**
 * Which rules of a list are new, gone or others than before, in words: `new "x"; changed "y"`. Rules without a name go by
 * their place. Empty for what is no list.
 */
export function ruleChangesText(before: unknown, after: unknown): string {
  const [was, is] = [rulesByName(before), rulesByName(after)];
  const named = (names: readonly string[], how: string): readonly string[] => {
    if (names.length === 0) return [];
    const more = names.length > mostNamed ? ` and ${names.length - mostNamed} more` : '';
    return [`${how} ${names.slice(0, mostNamed).map(quote).join(', ')}${more}`];
  };
  return [
    ...named(
      [...is.keys()].filter((name) => !was.has(name)),
      'new',
    ),
    ...named(
      [...was.keys()].filter((name) => !is.has(name)),
      'gone',
    ),
    ...named(
      [...is].filter(([name, text]) => (was.get(name) ?? text) !== text).map(([name]) => name),
      'changed',
    ),
  ].join('; ');
}

function rulesByName(value: unknown): ReadonlyMap<string, string> {
  if (Array.isArray(value)) {
    const rules: readonly unknown[] = value;
    return new Map(rules.map((rule, index) => [nameOf(rule) ?? `access[${index}]`, JSON.stringify(rule)]));
  }
  if (typeof value !== 'object' || value === null) return new Map();
  return new Map(Object.entries(value).map(([name, members]) => [name, JSON.stringify(members)]));
}

function nameOf(rule: unknown): string | undefined {
  return typeof rule === 'object' && rule !== null && 'name' in rule && typeof rule.name === 'string'
    ? rule.name
    : undefined;
}
