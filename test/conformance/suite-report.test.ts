import { describe, expect, test } from 'bun:test';
import { parseSuiteReport } from './suite-report.ts';

function report(counts: string, tests: string): string {
  return `<testsuites tests="9"><testsuite name="OCI Conformance Test" ${counts} time="0.1">
    <properties><property name="Config" value="version: &#34;1.1&#34;"></property></properties>${tests}
  </testsuite></testsuites>`;
}

const passed =
  '<testcase name="a" classname="" time="0.1" status="passed"><system-err>GET /v2/</system-err></testcase>';

describe('the report of the conformance suite', () => {
  test('counts what failed, was skipped or disabled apart from what passed', () => {
    const xml = report('tests="9" failures="1" errors="2" disabled="1" skipped="1"', passed);
    expect(parseSuiteReport(xml).counts).toEqual({ passed: 4, failures: 1, errors: 2, skips: 2 });
  });

  test('names each test that did not pass, with what the suite says about it', () => {
    const xml = report(
      'tests="4" failures="1" errors="1" skipped="2"',
      `${passed}
      <testcase name="OCI Conformance Test/b/put" classname="" status="failure">
        <system-out>status 500&#xA;expected &lt;201&gt; &amp; &#34;Location&#34;</system-out>
        <system-err>PUT /v2/</system-err>
      </testcase>
      <testcase name="c" classname="" status="error"><system-out>no route</system-out></testcase>
      <testcase name="d" classname="" status="skipped"><system-out>unsupported: 405</system-out></testcase>
      <testcase name="e" classname="" status="skipped"><system-err>e: skipping test:&#xA;  tag params</system-err></testcase>`,
    );
    expect(() => parseSuiteReport(xml)).toThrow('cannot have run');
    expect(parseSuiteReport(xml.replace('tests="4"', 'tests="5"')).findings).toEqual([
      { name: 'b/put', kind: 'failure', reason: 'status 500\nexpected <201> & "Location"' },
      { name: 'c', kind: 'error', reason: 'no route' },
      { name: 'd', kind: 'skip', reason: 'unsupported: 405' },
      { name: 'e', kind: 'skip', reason: 'tag params' },
    ]);
  });

  test('takes a status that it does not know for an error', () => {
    const xml = report('tests="2" errors="1"', `${passed}<testcase name="x" status="new"></testcase>`);
    expect(parseSuiteReport(xml).findings).toEqual([{ name: 'x', kind: 'error', reason: '' }]);
  });

  test.each([
    ['that is no report', 'not found'],
    ['without tests', report('tests="0" failures="0" errors="0"', '')],
    ['in which nothing passed', report('tests="3" failures="3" errors="0"', passed)],
    ['that names no test', report('tests="3" failures="0" errors="0"', '')],
  ])('a report %s is refused', (_, xml) => {
    expect(() => parseSuiteReport(xml)).toThrow();
  });
});
