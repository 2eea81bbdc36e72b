import { describe, expect, test } from 'bun:test';
import { Registry } from 'prom-client';
import { DurationHistogram } from './duration-histogram.ts';
import { RequestTally } from './request-tally.ts';

describe('a tally of requests', () => {
  test('counts each route and method for itself, by status', () => {
    const tally = new RequestTally([1]);
    tally.add('manifest', 'GET', 200, 0.5);
    tally.add('manifest', 'GET', 200, 0.5);
    tally.add('manifest', 'GET', 404, 0.5);
    tally.add('manifest', 'HEAD', 200, 0.5);
    tally.add('blob', 'GET', 200, 0.5);
    const counted = [...tally].map(({ route, method, statuses }) => [route, method, Object.fromEntries(statuses)]);
    expect(counted).toEqual([
      ['manifest', 'GET', { 200: 2, 404: 1 }],
      ['manifest', 'HEAD', { 200: 1 }],
      ['blob', 'GET', { 200: 1 }],
    ]);
  });

  test('counts a duration in the first bucket whose bound it does not exceed', () => {
    const tally = new RequestTally([0.1, 1]);
    for (const seconds of [0, 0.1, 0.11, 1, 1.01, 500]) tally.add('blob', 'GET', 200, seconds);
    expect([...tally][0]?.buckets).toEqual([2, 2, 2]);
    expect([...tally][0]?.totalSeconds).toBeCloseTo(502.22);
  });
});

test('a histogram adds the buckets up, as Prometheus wants them', async () => {
  const tally = new RequestTally([0.1, 1]);
  for (const seconds of [0.05, 0.5, 0.5, 5]) tally.add('blob', 'GET', 200, seconds);
  const registry = new Registry();
  registry.registerMetric(new DurationHistogram(tally, [0.1, 1]));
  const lines = (await registry.metrics()).split('\n').filter((line) => line !== '' && !line.startsWith('# HELP'));
  const name = 'wherry_http_request_duration_seconds';
  expect(lines).toEqual([
    `# TYPE ${name} histogram`,
    `${name}_bucket{le="0.1",route="blob",method="GET"} 1`,
    `${name}_bucket{le="1",route="blob",method="GET"} 3`,
    `${name}_bucket{le="+Inf",route="blob",method="GET"} 4`,
    `${name}_sum{route="blob",method="GET"} 6.05`,
    `${name}_count{route="blob",method="GET"} 4`,
  ]);
});
