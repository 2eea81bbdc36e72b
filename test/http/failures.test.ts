import { expect, test } from 'bun:test';
import { join } from 'node:path';
import { MetadataBrokenError, MetadataBusyError, MetadataFullError } from '../../src/metadata/store.ts';
import { BareServer } from './bare-server.ts';
import { expectRefusal } from './refusal.ts';

const upload = ['/v2/a/blobs/uploads/', { method: 'POST' }] as const;

test('a bug is answered with 500 and the id under which the log has it', async () => {
  const logged: unknown[] = [];
  const clock = {
    monotonic: () => 0,
    now(): number {
      throw new TypeError('the clock is broken');
    },
  };
  await using server = await BareServer.start({ clock, log: { error: (fields) => void logged.push(fields) } });
  const answer = await server.send(...upload);
  const requestId = answer.headers.get('x-request-id');
  const refusal = await expectRefusal(answer, 500, 'INTERNAL');
  expect(JSON.stringify(refusal)).not.toMatch(/clock|\.ts/);
  expect(logged[0]).toMatchObject({ requestId, err: { message: 'the clock is broken' } });
  // The metrics themselves need the clock too.
  await expectRefusal(await server.send('/metrics'), 500, 'INTERNAL');
});

test('no stack trace leaves the process where the answer itself fails', async () => {
  const fail = (): never => {
    throw new Error('the log is broken');
  };
  const logged: unknown[] = [];
  await using server = await BareServer.start({ log: { info: fail, error: (fields) => void logged.push(fields) } });
  const refusal = await expectRefusal(await server.send('/v2/'), 500, 'INTERNAL');
  expect(JSON.stringify(refusal)).not.toMatch(/log is broken|\.ts/);
  expect(logged).toMatchObject([{ err: { message: 'the log is broken' } }]);
});

test('no stack trace leaves the process where not even the failure can be logged', async () => {
  const program = [process.execPath, join(import.meta.dir, 'mute-server.ts')];
  const server = Bun.spawn(program, { stdin: 'pipe', stdout: 'pipe', stderr: 'ignore' });
  try {
    const { value } = await server.stdout.pipeThrough(new TextDecoderStream()).getReader().read();
    const answer = await fetch(`${value?.trim()}/v2/`);
    expect(answer.status).toBe(500);
    expect(await answer.text()).not.toMatch(/log is broken|\.ts|html/);
  } finally {
    await server.stdin.end();
    await server.exited;
  }
});

test('a database that is locked is told to be tried again soon', async () => {
  await using server = await BareServer.start({ writeError: new MetadataBusyError('the database is locked') });
  const answer = await server.send(...upload);
  expect(answer.headers.get('retry-after')).toBe('1');
  expect((await expectRefusal(answer, 503, 'UNAVAILABLE')).message).toContain('the database is locked');
  expect((await server.send('/healthz')).status).toBe(200);
});

test('a database without room is told to need some', async () => {
  await using server = await BareServer.start({ writeError: new MetadataFullError('the disk is full') });
  const answer = await server.send(...upload);
  expect(answer.headers.get('retry-after')).toBeNull();
  expect((await expectRefusal(answer, 507, 'STORAGE_FULL')).message).toContain('make room');
  expect((await server.send('/healthz')).status).toBe(200);
});

test('a database that can promise nothing any more has the process restarted, and can be read until then', async () => {
  await using server = await BareServer.start({ writeError: new MetadataBrokenError('check the disk, then restart') });
  expect((await server.send('/healthz')).status).toBe(200);
  const answer = await server.send(...upload);
  expect(answer.headers.get('retry-after')).toBeNull();
  await expectRefusal(answer, 503, 'UNAVAILABLE');
  const health = await server.send('/healthz');
  expect(health.status).toBe(503);
  expect(await health.text()).toContain('restart');
  expect((await server.send('/v2/_catalog')).status).toBe(200);
});

test('requests that fail are counted under their own route', async () => {
  await using server = await BareServer.start({ writeError: new Error('no such table') });
  await expectRefusal(await server.send(...upload), 500, 'INTERNAL');
  const text = await (await server.send('/metrics')).text();
  expect(text).toContain('wherry_http_requests_total{route="uploads",method="POST",status="500"} 1');
});
