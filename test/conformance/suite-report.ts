/** One test of the suite that did not pass. */
export interface Finding {
  /** The path of the test below the root of all tests. */
  readonly name: string;
  readonly kind: 'failure' | 'error' | 'skip';
  /** What the suite says about it; for a skip, why. */
  readonly reason: string;
}

/** What one run of the suite found. */
export interface SuiteReport {
  readonly counts: SuiteCounts;
  readonly findings: readonly Finding[];
}

/** The suite's own counts. A group of tests can be counted too, so they may be more than the tests that have a name. */
export interface SuiteCounts {
  readonly passed: number;
  readonly failures: number;
  readonly errors: number;
  readonly skips: number;
}

/**
 * Reads the junit.xml that the suite writes.
 *
 * @throws if it is not such a report, or holds no tests that passed: then the suite did not really run
 */
export function parseSuiteReport(xml: string): SuiteReport {
  const counts = parseCounts(xml);
  if (counts.passed === 0) throw new Error('the suite reports no test that passed, so it cannot have run as it should');
  // The suite escapes all text, so that no test can hold the end of an element.
  const tests = [...xml.matchAll(/<testcase ([^>]*)>(.*?)<\/testcase>/gs)].map(([, attributes = '', content = '']) =>
    parseTest(attributes, content),
  );
  if (tests.length === 0) throw new Error('the report counts tests but names none');
  return { counts, findings: tests.filter((test) => test !== undefined) };
}

function parseCounts(xml: string): SuiteCounts {
  const suite = /<testsuite ([^>]*)>/.exec(xml)?.[1];
  if (suite === undefined) throw new Error('the report has no test suite');
  const failures = countIn(suite, 'failures');
  const errors = countIn(suite, 'errors');
  // A test is disabled by an option of the suite, and here all of them are on.
  const skips = countIn(suite, 'skipped') + countIn(suite, 'disabled');
  return { passed: countIn(suite, 'tests') - failures - errors - skips, failures, errors, skips };
}

/** The suite leaves out an attribute whose value is 0. */
function countIn(attributes: string, name: string): number {
  return Number(attribute(attributes, name) ?? '0');
}

function parseTest(attributes: string, content: string): Finding | undefined {
  const name = (attribute(attributes, 'name') ?? '(a test without a name)').replace('OCI Conformance Test/', '');
  switch (attribute(attributes, 'status')) {
    case 'passed':
      return undefined;
    case 'skipped':
      return { name, kind: 'skip', reason: skipReason(content) };
    case 'failure':
      return { name, kind: 'failure', reason: text(content, 'system-out') };
    default:
      return { name, kind: 'error', reason: text(content, 'system-out') };
  }
}

/** Where the registry lacks something, the reason stands where failures do, and otherwise in the log of the test. */
function skipReason(content: string): string {
  const unsupported = text(content, 'system-out');
  if (unsupported !== '') return unsupported;
  return /: skipping test:\s*(.*)/s.exec(text(content, 'system-err'))?.[1]?.trim() ?? '(no reason given)';
}

function attribute(attributes: string, name: string): string | undefined {
  const value = new RegExp(`(?:^|\\s)${name}="([^"]*)"`).exec(attributes)?.[1];
  return value === undefined ? undefined : unescapeXml(value);
}

function text(content: string, element: string): string {
  const value = new RegExp(`<${element}>(.*?)</${element}>`, 's').exec(content)?.[1] ?? '';
  return unescapeXml(value).trim();
}

const namedCharacters: ReadonlyMap<string, string> = new Map([
  ['lt', '<'],
  ['gt', '>'],
  ['quot', '"'],
  ['apos', "'"],
  ['amp', '&'],
]);

function unescapeXml(escaped: string): string {
  return escaped.replaceAll(/&(?:#x([0-9A-Fa-f]+)|#(\d+)|(\w+));/g, (whole: string, ...groups: string[]) => {
    const [hex, decimal, name] = groups;
    if (hex !== undefined) return String.fromCodePoint(Number.parseInt(hex, 16));
    if (decimal !== undefined) return String.fromCodePoint(Number(decimal));
    return namedCharacters.get(name ?? '') ?? whole;
  });
}
