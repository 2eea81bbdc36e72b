import { afterEach, beforeEach, expect, test } from 'bun:test';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import packageJson from '../../package.json' with { type: 'json' };
import { settings } from '../../src/config/settings.ts';
import { freePort } from '../server/free-port.ts';
import { ServerProcess } from '../server/server-process.ts';
import { projectDirectory, readDocument, readDocuments } from './documents.ts';

/** The clients of the examples that cannot be run here, and what makes each of them speak HTTP without TLS. */
const clients: Readonly<Record<string, readonly string[]>> = {
  skopeo: ['--dest-tls-verify=false'],
  crane: ['--insecure'],
  podman: ['--tls-verify=false'],
  // It does so by itself on the loopback interface.
  docker: [],
};

const examples = readDocuments().flatMap(({ path, codeBlocks }) =>
  codeBlocks.filter(({ language }) => language === 'sh').map(({ text }) => ({ path, text })),
);
const requests = examples.filter(({ text }) => /^curl /m.test(text));
const backup = examples.filter(({ text }) => /^sqlite3 /m.test(text));
const firstPush = requests.find(({ path }) => path === 'README.md')?.text ?? '';
const others = examples.filter((example) => !requests.includes(example) && !backup.includes(example));

const quietly = { stdin: 'ignore', stdout: 'ignore', stderr: 'ignore' } as const;

let directory = '';

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'wherry-docs-'));
});

afterEach(async () => {
  await rm(directory, { recursive: true });
});

test('the examples with curl work as pasted, and README has a push and a pull among them', async () => {
  await using server = await serve('data');
  expect(await paste(firstPush, server)).toBe('hello, world\n');
  for (const { text } of requests) await paste(text, server);
});

test('a backup made of a running registry as the page says serves what had been pushed', async () => {
  const [only, ...more] = backup;
  expect([only?.path, more]).toEqual(['docs/reliability.md', []]);
  const pull = firstPush.replace(/^curl .*--data-binary.*\n/m, '');
  await using server = await serve('data');
  await paste(firstPush, server);
  await paste(only?.text ?? '', server);
  await using copy = await serve('backup');
  expect(await paste(pull, copy)).toBe('hello, world\n');
});

test('the other examples call scripts that there are, and clients in a way that does without TLS', () => {
  for (const command of others.flatMap(({ text }) => commandsIn(text))) {
    const [program = '', ...args] = command.split(/\s+/);
    if (program === 'npm') {
      expect(Object.keys(packageJson.scripts)).toContain((args[0] === 'run' ? args[1] : args[0]) ?? '');
    } else {
      expect(Object.keys(clients)).toContain(program);
      for (const flag of clients[program] ?? []) expect(args).toContain(flag);
    }
  }
});

test('every example calls the registry where it listens by default', () => {
  const addresses = examples.flatMap(({ text }) => text.match(/\b(?:localhost|\d+\.\d+\.\d+\.\d+):\d+/g) ?? []);
  expect(addresses.filter((address) => address !== settings.listen.default)).toEqual([]);
  expect(addresses).not.toEqual([]);
});

test('README says truly what has to be there, where the registry listens and where its data is', () => {
  const { paragraphs, codeBlocks } = readDocument('README.md');
  expect(paragraphs.join('\n')).toContain(`Node ${packageJson.engines.node.replace('>=', '≥ ')}`);
  const serves = `npm start          # serves http://${settings.listen.default}, data in ${settings.data.default}\n`;
  expect(codeBlocks[0]?.text).toContain(serves);
});

/** A registry whose data directory is `data`, in the directory where the examples are pasted. */
async function serve(data: string): Promise<ServerProcess> {
  const port = freePort();
  const args = ['serve', '--listen', `127.0.0.1:${port}`, '--data', join(directory, data)];
  return await ServerProcess.start(port, join(directory, 'log'), {
    command: [process.execPath, join(projectDirectory, 'src', 'main.ts'), ...args],
  });
}

/** Runs an example as it stands, but against this server. @returns what it printed @throws if a command of it fails */
async function paste(example: string, server: ServerProcess): Promise<string> {
  const text = example.replaceAll(settings.listen.default, new URL(server.origin).host);
  const shell = Bun.spawn(['sh', '-eu', '-c', text], {
    cwd: directory,
    env: { ...process.env, PATH: [await standIns(), process.env['PATH']].join(delimiter) },
    stdin: 'ignore',
    stderr: 'pipe',
  });
  const [out, err, code] = await Promise.all([shell.stdout.text(), shell.stderr.text(), shell.exited]);
  if (code !== 0) throw new Error(`the example ended with ${code}\n${text}${out}${err}`);
  return out;
}

/** A directory of programs for a machine that lacks them, or has too old ones: `npm test` needs nothing but Node and npm. */
async function standIns(): Promise<string> {
  const programs = join(directory, 'programs');
  await mkdir(programs, { recursive: true });
  for (const [name, ...probe] of [
    ['curl', '--version'],
    ['sqlite3', ':memory:', 'create table strictly (a text) strict'],
  ] as const) {
    if (Bun.which(name) !== null && (await Bun.spawn([name, ...probe], quietly).exited) === 0) continue;
    const file = join(programs, name);
    await writeFile(
      file,
      `#!/bin/sh\nexec '${process.execPath}' '${join(import.meta.dir, 'programs', name)}.ts' "$@"\n`,
    );
    await chmod(file, 0o755);
  }
  return programs;
}

function commandsIn(text: string): readonly string[] {
  return text
    .replaceAll(/\s#.*$/gm, '')
    .split(/\n|&&/)
    .map((command) => command.trim())
    .filter((command) => command !== '');
}
