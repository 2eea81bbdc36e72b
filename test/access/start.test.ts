import { afterEach, beforeEach, expect, test } from 'bun:test';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../server/free-port.ts';
import { ServerProcess } from '../server/server-process.ts';
import { pathOf } from '../tls/certificates/certificates.ts';
import { passwordLines } from './guarded-registry.ts';

const main = join(import.meta.dir, '..', '..', 'src', 'main.ts');

let directory = '';

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'wherry-start-'));
});

afterEach(async () => {
  await rm(directory, { recursive: true });
});

function command(...args: readonly string[]): [string, ...string[]] {
  return [process.execPath, main, 'serve', '--data', join(directory, 'data'), ...args];
}

/** Runs it to its end, which is to be soon. */
async function run(...args: readonly string[]) {
  const environment = Object.entries(process.env).filter(([name]) => !name.startsWith('WHERRY_'));
  const child = Bun.spawn(command(...args), {
    env: Object.fromEntries(environment),
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
  });
  const [out, err, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  return { out, err, code };
}

test.each(['0.0.0.0:0', '[::]:0', '192.0.2.1:0'])(
  'a registry that would listen on %s, where nobody has to log in, does not start and says how to go on',
  async (listen) => {
    const { err, code } = await run('--listen', listen);
    expect(code).toBe(1);
    for (const way of ['--auth-htpasswd FILE', '--anonymous', '127.0.0.1', 'access']) expect(err).toContain(way);
  },
);

test('so does one whose plain port alone can be reached, and it names that', async () => {
  const listening = ['--listen', '127.0.0.1:0', '--http-plain-listen', '0.0.0.0:4999'];
  const files = ['--tls-certificate', pathOf('first.crt'), '--tls-key', pathOf('first.key')];
  const { err, code } = await run(...listening, ...files);
  expect(code).toBe(1);
  expect(err).toContain('whoever reaches 0.0.0.0:4999');
});

test.each(['--anonymous', '--auth-anonymous=pull', '--auth-anonymous=all'])(
  'it starts with %s, as somebody has said so',
  async (flag) => {
    const port = freePort();
    const args = ['--listen', `0.0.0.0:${port}`, flag];
    await using server = await ServerProcess.start(port, join(directory, 'log'), { command: command(...args) });
    // Whoever may not would be asked to log in.
    expect((await fetch(`http://127.0.0.1:${port}/v2/team/app/tags/list`)).status).toBe(404);
    expect(server).toBeDefined();
  },
);

test('it starts where users can log in', async () => {
  const port = freePort();
  const file = join(directory, 'htpasswd');
  await writeFile(file, await passwordLines(['alice']));
  const args = ['--listen', `0.0.0.0:${port}`, '--auth-htpasswd', file];
  await using server = await ServerProcess.start(port, join(directory, 'log'), { command: command(...args) });
  expect((await fetch(`http://127.0.0.1:${port}/v2/`)).status).toBe(401);
  expect(server).toBeDefined();
});

test('a password file with other hashes than bcrypt keeps it from starting, and names the users', async () => {
  const file = join(directory, 'htpasswd');
  await writeFile(file, 'alice:$apr1$x$abc\nbob:plain\n# nothing\n\nnobody\n');
  const { err, code } = await run('--auth-htpasswd', file);
  expect(code).toBe(1);
  for (const text of [`${file}:1: `, '"alice"', `${file}:2: `, '"bob"', `${file}:5: `, 'htpasswd -B']) {
    expect(err).toContain(text);
  }
  expect(err).not.toContain('apr1');
});

test('so does one that cannot be read', async () => {
  const { err, code } = await run('--auth-htpasswd', join(directory, 'none'));
  expect(code).toBe(1);
  expect(err).toContain('cannot be read');
});

test('rules that make no sense keep it from starting, each with its line', async () => {
  const file = join(directory, 'wherry.yaml');
  await writeFile(file, 'access:\n  - who: anonymous\n    repositories: Team\n    actions: [pull, psuh]\n');
  const { err, code } = await run('--config', file);
  expect(code).toBe(2);
  expect(err).toContain(`${file}:3: access[0].repositories cannot be "Team"`);
  expect(err).toContain(`${file}:4: access[0].actions[1] cannot be "psuh"`);
});
