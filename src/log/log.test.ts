import { expect, test } from 'bun:test';
import { createLog } from './log.ts';
import type { LogStream } from './log.ts';

function memory(isTTY: boolean): LogStream & { readonly lines: string[] } {
  const lines: string[] = [];
  return { lines, isTTY, write: (line) => lines.push(line) };
}

test('a JSON line holds the level by name, the time, the fields of the log and of the message', async () => {
  const stream = memory(false);
  const log = await createLog({ level: 'info', format: 'auto', stream });
  log.child({ request: 'r1' }).warn({ repository: 'team/app' }, 'the tag is gone');
  const time: unknown = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  expect(stream.lines).toHaveLength(1);
  expect(JSON.parse(stream.lines.join(''))).toEqual({
    level: 'warn',
    time,
    request: 'r1',
    repository: 'team/app',
    msg: 'the tag is gone',
  });
});

test('an error is logged with its message and its stack', async () => {
  const stream = memory(false);
  const log = await createLog({ level: 'info', format: 'json', stream });
  log.error({ err: new RangeError('no space left') }, 'a blob was not written');
  const stack: unknown = expect.stringContaining('log.test.ts');
  expect(JSON.parse(stream.lines.join(''))).toMatchObject({
    err: { type: 'RangeError', message: 'no space left', stack },
  });
});

test('messages below the level are not written', async () => {
  const stream = memory(false);
  const log = await createLog({ level: 'warn', format: 'json', stream });
  log.debug({}, 'one');
  log.info({}, 'two');
  log.error({}, 'three');
  expect(stream.lines.map((line) => line.includes('three'))).toEqual([true]);
});

test('on a terminal the automatic format is for people, and is written before the call returns', async () => {
  const stream = memory(true);
  const log = await createLog({ level: 'info', format: 'auto', stream });
  log.info({ repository: 'team/app' }, 'pushed');
  expect(stream.lines).toHaveLength(1);
  expect(stream.lines[0]).toContain('pushed');
  expect(stream.lines[0]).toContain('"team/app"');
  expect(stream.lines[0]).toContain('\u001b[');
});

test('a pretty log that goes into a file has no colours', async () => {
  const stream = memory(false);
  const log = await createLog({ level: 'info', format: 'pretty', stream });
  log.info({ repository: 'team/app' }, 'pushed');
  expect(stream.lines.join('')).toMatch(/^\[[\d:.]+\] INFO: pushed \{"repository":"team\/app"\}\n$/);
});

test('a log on the standard output is complete when the process ends at once', async () => {
  for (const format of ['json', 'pretty']) {
    const script = `
      import { createLog } from './src/log/log.ts';
      const log = await createLog({ level: 'info', format: '${format}' });
      for (let i = 0; i < 2000; i += 1) log.info({ i }, 'line');
      process.exit(0);`;
    const child = Bun.spawn([process.execPath, '-e', script], { stdout: 'pipe', cwd: `${import.meta.dir}/../..` });
    expect((await child.stdout.text()).trimEnd().split('\n')).toHaveLength(2000);
  }
});

test('on a terminal nothing that a client sends steers it', async () => {
  const stream = memory(true);
  const log = await createLog({ level: 'info', format: 'auto', stream });
  log.info({ userAgent: 'x\u009b2J\u001b[2J\u202E' }, 'request');
  const [line = ''] = stream.lines;
  expect(line).toContain(String.raw`x\u009b2J\u001b[2J\u202e`);
});
