import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import packageJson from '../../package.json' with { type: 'json' };
import { variableOf } from '../config/environment.ts';
import { flagOf } from '../config/flags.ts';
import { settable } from '../config/settings.ts';

const main = path.join(import.meta.dir, '..', 'main.ts');
let directory = '';

beforeAll(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'wherry-cli-'));
});

afterAll(async () => {
  await rm(directory, { recursive: true, force: true });
});

async function wherry(args: readonly string[], environment: Readonly<Record<string, string>> = {}) {
  const child = Bun.spawn([process.execPath, main, ...args], {
    cwd: directory,
    env: { ...withoutOurs(process.env), ...environment },
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
  });
  const [out, err, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  return { out, err, code };
}

/** What is set where the tests run must not change what they see. */
function withoutOurs(environment: Readonly<Record<string, string | undefined>>): Record<string, string | undefined> {
  return Object.fromEntries(Object.entries(environment).filter(([name]) => !name.startsWith('WHERRY_')));
}

test.each(['--version', '-V'])('%s prints the version', async (flag) => {
  expect(await wherry([flag])).toEqual({ out: `${packageJson.version}\n`, err: '', code: 0 });
});

test.each(['--help', '-h', 'help'])('%s lists the commands', async (word) => {
  const { out, err, code } = await wherry([word]);
  expect(out).toStartWith('Usage: wherry [command] [flags]\n');
  expect(out).toContain('  serve  ');
  expect([err, code]).toEqual(['', 0]);
});

test.each([[['help', 'serve']], [['serve', '--help']], [['--data', 'here', '--help']]])(
  'the arguments %j show a flag for every setting',
  async (args) => {
    const { out, err, code } = await wherry(args);
    for (const { name, type } of settable) expect(out).toContain(`  ${flagOf(name)} <${type.placeholder}>  `);
    expect(out).toContain('--config <file>');
    expect([err, code]).toEqual(['', 0]);
  },
);

test.each([
  [['serv'], "error: unknown command 'serv'\n(Did you mean serve?)\n"],
  [['garbage'], "error: unknown command 'garbage'\n"],
  [['serve', '--lisen', 'x'], "error: unknown option '--lisen'\n(Did you mean --listen?)\n"],
  [['--lisen=x'], "error: unknown option '--lisen=x'\n(Did you mean --listen?)\n"],
  [['serve', 'everything'], "error: too many arguments for 'serve'. Expected 0 arguments but got 1.\n"],
  [['--data'], "error: option '--data <directory>' argument missing\n"],
])('the arguments %j are refused: %j', async (args, err) => {
  expect(await wherry(args)).toEqual({ out: '', err, code: 2 });
});

describe('a bad configuration', () => {
  test('is refused with every problem from every source, before anything is touched', async () => {
    const file = path.join(directory, 'wherry.yaml');
    await writeFile(file, 'data: ./from-file\nwindows:\n  leese: 6h\n');
    const { out, err, code } = await wherry(['--config', file, '--listen', '5000'], {
      [variableOf('log.level')]: 'loud',
    });
    const [title, ...problems] = err.trimEnd().split('\n');
    expect(title).toBe('wherry cannot start with this configuration:');
    expect(problems.map((problem) => problem.split(': ', 2).join(': '))).toEqual([
      `  ${file}:3: windows.leese is not a setting (did you mean windows.lease?)`,
      '  WHERRY_LOG_LEVEL in the environment: log.level cannot be "loud"',
      '  --listen: listen cannot be "5000"',
    ]);
    expect([out, code]).toEqual(['', 2]);
    expect(existsSync(path.join(directory, 'from-file'))).toBe(false);
  });

  test('is refused without a command too, and a list flag may be given more than once', async () => {
    const { err, code } = await wherry(['--http-trusted-proxies', '10.0.0.1', '--http-trusted-proxies', 'proxy']);
    expect(err).toContain('--http-trusted-proxies: http.trustedProxies cannot be "10.0.0.1,proxy": "proxy" is not');
    expect(code).toBe(2);
  });

  test('names a file that is not there', async () => {
    const { err, code } = await wherry(['serve'], { WHERRY_CONFIG: 'gone.yaml' });
    expect(err).toContain(
      '  WHERRY_CONFIG in the environment: the configuration file gone.yaml cannot be read: ENOENT',
    );
    expect(code).toBe(2);
  });
});
