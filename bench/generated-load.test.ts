import { expect, test } from 'bun:test';
import { readWrkReport } from './generated-load.ts';

const report = `Running 4s test @ http://127.0.0.1:5000/v2/a/manifests/latest
  1 threads and 32 connections
  41000 requests in 4.10s, 24.23MB read
Requests/sec:  10000.00
Transfer/sec:      5.91MB
`;

test("wrk's report gives the requests and the time they took", () => {
  expect(readWrkReport(report)).toEqual({ count: 41_000, seconds: 4.1, generatorCpuSeconds: undefined });
});

test('a registry that answers some requests with an error is not given a rate', () => {
  expect(() => readWrkReport(`${report}  Non-2xx or 3xx responses: 12\n`)).toThrow('Non-2xx or 3xx responses: 12');
});
