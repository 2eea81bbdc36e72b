import { describe, expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { IssuerSet } from '../../src/credentials/issuers/issuer-set.ts';
import { issuerKeys } from '../../src/credentials/issuers/schema.ts';
import { parseAccessRules } from '../../src/access/parse.ts';
import { grantedBy, parseScopes, allowedOf } from '../../src/credentials/tokens/scope.ts';
import { readConfigFile } from '../../src/config/file.ts';
import { projectDirectory } from './documents.ts';

const page = readFileSync(join(projectDirectory, 'docs', 'tokens.md'), 'utf8');
const configurations = [...page.matchAll(/^```yaml\n([^`]*)^```/gm)]
  .map(([, yaml = '']) => yaml)
  .filter((yaml) => /^(issuers|access):/m.test(yaml));

describe('each configuration of the page', () => {
  test.each(configurations)('makes sense: %s', (yaml) => {
    const { problems, issuers, access, groups } = readConfigFile('tokens.md', yaml);
    const rules = parseAccessRules(access, groups);
    const set = IssuerSet.parse(issuers?.value ?? [], issuers?.whereIs);
    expect([...problems, ...(rules.ok ? [] : rules.problems), ...(set.ok ? [] : set.problems)]).toEqual([]);
  });
});

test('the page has configurations, and every key of an issuer', () => {
  expect(configurations).toHaveLength(3);
  for (const key of issuerKeys) expect(page).toContain(`${key}:`);
});

test('each scope of the page is one', () => {
  const scopes = [...page.matchAll(/^\| `([^`]+)` +\|/gm)].flatMap(([, scope = '']) =>
    scope.includes(':') ? [scope] : [],
  );
  expect(scopes).toHaveLength(5);
  for (const scope of scopes) {
    const parsed = parseScopes([scope.replace('NAME', 'team/app')]) ?? [];
    const { grants, seesCatalog } = grantedBy(allowedOf(parsed, () => true));
    expect(grants.length > 0 || seesCatalog).toBe(true);
  }
});
