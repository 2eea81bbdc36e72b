import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AccessWatch } from '../../src/access/access-watch.ts';
import { createLog } from '../../src/log/log.ts';
import { forgetStoresBeside, type StoresBeside, storesBeside } from '../pairs/stores-beside.ts';
import { freePort } from '../server/free-port.ts';
import { ServerProcess } from '../server/server-process.ts';
import { until } from '../server/until.ts';
import { basic, passwordLines, passwordOf } from './guarded-registry.ts';

const alice = basic('alice', passwordOf('alice'));

function rule(name: string, repositories: string, actions = 'pull'): string {
  return `  - { name: ${name}, who: { users: alice }, repositories: "${repositories}", actions: [${actions}] }\n`;
}

describe('a registry that runs', () => {
  let directory: string;
  let server: ServerProcess;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'wherry-reload-'));
  });

  afterEach(async () => {
    await server[Symbol.asyncDispose]();
    forgetStoresBeside(join(directory, 'data'));
    await rm(directory, { recursive: true });
  });

  const stores = (): StoresBeside => storesBeside(join(directory, 'data'));

  /** Puts another file in the place of the configuration, as editors and Kubernetes do. */
  async function configure(access: string): Promise<void> {
    const users = join(directory, 'htpasswd');
    const settings = `data: ${join(directory, 'data')}\nauth: { htpasswd: ${users} }\nlog: { format: json }\n`;
    await writeFile(join(directory, 'next.yaml'), settings + access);
    await rename(join(directory, 'next.yaml'), join(directory, 'wherry.yaml'));
  }

  async function start(access: string): Promise<void> {
    await writeFile(join(directory, 'htpasswd'), await passwordLines(['alice']));
    await configure(access);
    const port = freePort();
    const command = [process.execPath, 'src/main.ts', 'serve', '--config', join(directory, 'wherry.yaml')] as const;
    server = await ServerProcess.start(port, join(directory, 'log'), {
      command: [...command, '--listen', `127.0.0.1:${port}`],
      environment: stores().environment,
    });
  }

  const log = async (): Promise<string> => await readFile(join(directory, 'log'), 'utf8');
  const reload = (): void => void process.kill(server.pid, 'SIGHUP');
  const ask = async (path: string, authorization = alice): Promise<number> =>
    (await fetch(server.origin + path, { headers: { authorization } })).status;

  function changes(): readonly { identity: string; reason: string }[] {
    return stores().tables.rows("select identity, reason from event where kind = 'policy.changed' order by id");
  }

  test('goes by other access rules once their file has changed, for tokens of before too, and writes it down', async () => {
    await start(`access:\n${rule('one', 'team/one')}${rule('all', 'other')}`);
    const answer = await fetch(`${server.origin}/token?scope=repository:team/one:pull`, {
      headers: { authorization: alice },
    });
    const token = `Bearer ${/"token":"([^"]+)"/.exec(await answer.text())?.[1]}`;
    expect([await ask('/v2/team/one/tags/list'), await ask('/v2/team/one/tags/list', token)]).toEqual([404, 404]);
    expect(await ask('/v2/team/two/tags/list')).toBe(403);

    // By itself, without a signal.
    await configure(`access:\n${rule('two', 'team/two')}${rule('all', 'other', 'pull, push')}`);
    await until('the new rules decide', async () => (await ask('/v2/team/two/tags/list')) === 404);
    expect([await ask('/v2/team/one/tags/list'), await ask('/v2/team/one/tags/list', token)]).toEqual([403, 403]);
    await until('it is written down', () => changes().length > 0);
    const [{ identity, reason } = { identity: '', reason: '' }] = changes();
    expect(identity).toBe('system:configuration');
    expect(reason.replaceAll(/sha256:[0-9a-f]{12}/g, 'HASH')).toBe(
      'access: changed from HASH to HASH while it was served: new "two"; gone "one"; changed "all"',
    );
  });

  test('goes on by the rules of before where those in the file make no sense, and says so', async () => {
    await start(`access:\n${rule('one', 'team/one')}`);
    for (const [broken, problem] of [
      ['access: [{ who: everyone, repositories: x, actions: pull }]', 'access[0].who cannot be'],
      ['access: [', 'not valid YAML'],
      ['acces: []', 'acces is not a setting'],
      [`access:\n${rule('one', 'team/two')}issuers: [{}]`, 'issuers[0].name is missing'],
    ] as const) {
      await configure(broken);
      reload();
      await until(`the log says ${problem}`, async () => (await log()).includes(problem));
      expect([await ask('/v2/team/one/tags/list'), await ask('/v2/team/two/tags/list')]).toEqual([404, 403]);
      expect(await ask('/readyz')).toBe(200);
    }
    await rm(join(directory, 'wherry.yaml'));
    reload();
    await until('the log says so', async () => (await log()).includes('the configuration cannot be read'));
    expect(await ask('/v2/team/one/tags/list')).toBe(404);
    expect(changes()).toEqual([]);
    await configure(`access:\n${rule('one', 'team/two')}`);
    reload();
    await until('the mended rules decide', async () => (await ask('/v2/team/two/tags/list')) === 404);
  });

  test('lets nobody do anything once the rules are gone, where users log in', async () => {
    await start(`access:\n${rule('one', 'team/one')}`);
    await configure('');
    reload();
    await until('nobody may', async () => (await ask('/v2/team/one/tags/list')) === 403);
  });
});

test.each([
  ['', 'access: [{ who: anonymous, repositories: x, actions: pull }]', 202],
  ['access: [{ who: anonymous, repositories: x, actions: pull }]', '', 401],
])('whether anybody has to log in at all is for the start to say: %p, then %p', async (before, after, status) => {
  const directory = await mkdtemp(join(tmpdir(), 'wherry-reload-'));
  const file = join(directory, 'wherry.yaml');
  const port = freePort();
  const settings = `listen: 127.0.0.1:${port}\ndata: ${join(directory, 'data')}\n`;
  await writeFile(file, settings + before);
  await using server = await ServerProcess.start(port, join(directory, 'log'), {
    command: [process.execPath, 'src/main.ts', 'serve', '--config', file],
  });
  await writeFile(file, settings + after);
  process.kill(server.pid, 'SIGHUP');
  await until('the log says so', async () =>
    (await readFile(join(directory, 'log'), 'utf8')).includes('takes a restart'),
  );
  const answer = await fetch(`${server.origin}/v2/y/blobs/uploads/`, { method: 'POST' });
  expect(answer.status).toBe(status);
  await server.kill();
  await rm(directory, { recursive: true });
});

test('a version of the file is read once, whatever comes of it, and again where somebody asks', async () => {
  const adopted: string[] = [];
  let version = 'one';
  let reads = 0;
  const lines: string[] = [];
  const watch = new AccessWatch<string>({
    source: {
      version: () => Promise.resolve(version),
      read: () => {
        reads += 1;
        return Promise.resolve(
          version === 'bad' ? { ok: false, problems: ['it is bad'] } : { ok: true, rules: version },
        );
      },
    },
    log: await createLog({
      level: 'error',
      format: 'json',
      stream: { write: (line: string) => void lines.push(line) },
    }),
    adopt: (rules) => {
      adopted.push(rules);
      return Promise.resolve(undefined);
    },
  });
  for (const next of ['one', 'one', 'bad', 'bad', 'two', 'two']) {
    version = next;
    await watch.look();
  }
  expect([adopted, reads, lines.length]).toEqual([['one', 'two'], 3, 1]);
  await watch.reload();
  expect(adopted).toEqual(['one', 'two', 'two']);
});
