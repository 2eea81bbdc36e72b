import { expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { RawRequest } from '../server/raw-request.ts';
import { until } from '../server/until.ts';
import { ServedRegistry } from './served-registry.ts';

test.each([
  ['PUT', '/v2/app/manifests/1'],
  ['POST', '/admin/v1/collector/pause'],
])('a client that goes away amid the body of its %s %s is no failure of the registry', async (method, path) => {
  await using registry = await ServedRegistry.start({ 'log.requests': 'all', 'log.level': 'info' });
  const token = readFileSync(join(registry.dataDirectory, 'admin.token'), 'utf8').trim();
  const headers = path.startsWith('/admin') ? { authorization: `Bearer ${token}` } : {};
  const request = await RawRequest.open(new URL(registry.origin).host, method, path, {
    ...headers,
    'content-length': '100',
  });
  await request.write('{');
  request.destroy();
  const told = () => registry.logged.filter((line) => line.includes(path));
  await until('the request is logged', () => told().length > 0);
  expect(told().join('\n')).toContain('"status":400');
  expect(registry.logged.filter((line) => line.includes('"level":"error"'))).toEqual([]);
});
