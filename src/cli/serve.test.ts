import { afterAll, beforeAll, expect, test } from 'bun:test';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import packageJson from '../../package.json' with { type: 'json' };

const main = path.join(import.meta.dir, '..', 'main.ts');
let directory = '';

beforeAll(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'wherry-serve-'));
});

afterAll(async () => {
  await rm(directory, { recursive: true, force: true });
});

/** `wherry serve` with its data in `data`. Its first line of log has been read: it serves, or has ended without a line. */
async function serve(data: string, ...flags: readonly string[]) {
  const environment = Object.entries(process.env).filter(([name]) => !name.startsWith('WHERRY_'));
  const child = Bun.spawn([process.execPath, main, 'serve', '--data', data, '--listen', '127.0.0.1:0', ...flags], {
    cwd: directory,
    env: Object.fromEntries(environment),
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
  });
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let out = '';
  const readUntil = async (isEnough: () => boolean): Promise<void> => {
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      out += part.value;
      if (isEnough()) return;
    }
  };
  await readUntil(() => out.includes('\n'));
  return {
    firstLine: out.slice(0, out.indexOf('\n')),
    child,
    async ended() {
      await readUntil(() => false);
      return { out, err: await child.stderr.text(), code: await child.exited };
    },
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await child.exited;
    },
  };
}

/** The address in a message that says where it serves. */
function urlIn(line: string): string {
  return /http:\/\/[\d.:]+/.exec(line)?.[0] ?? '';
}

test('a registry says where it serves, where its data is and how to push, and ends with 0 on SIGTERM', async () => {
  await using server = await serve('data');
  const url = urlIn(server.firstLine);
  expect(JSON.parse(server.firstLine)).toMatchObject({
    level: 'info',
    msg: `serving ${url}`,
    version: packageJson.version,
    url,
    data: path.join(directory, 'data'),
    push: `docker push ${new URL(url).host}/NAME`,
  });
  expect((await fetch(`${url}/v2/`)).status).toBe(200);
  server.child.kill('SIGTERM');
  const { out, err, code } = await server.ended();
  expect(out.trimEnd().split('\n').at(-1)).toContain('"msg":"stopped"');
  expect([err, code]).toEqual(['', 0]);
});

test('a second registry on the same data is told so in one line, and ends with 1', async () => {
  await using server = await serve('shared');
  expect(server.firstLine).toContain('serving');
  await using second = await serve('shared');
  expect(second.firstLine).toBe('');
  const { out, err, code } = await second.ended();
  expect(err).toMatch(/^wherry cannot start: another wherry .* is using the data directory .*\n$/);
  expect([out, code]).toEqual(['', 1]);
});

test('a registry whose port is taken says so in one line, and ends with 1', async () => {
  await using server = await serve('first');
  await using second = await serve('second', '--listen', new URL(urlIn(server.firstLine)).host);
  expect(second.firstLine).toBe('');
  const { out, err, code } = await second.ended();
  expect(err).toMatch(/^wherry cannot start: port \d+ of 127\.0\.0\.1 is in use: .*--listen.*\n$/);
  expect([out, code]).toEqual(['', 1]);
});

test('the policies of its configuration are those that it plans by', async () => {
  const config = path.join(directory, 'planning.yaml');
  await writeFile(config, 'policies:\n  - { repositories: team/**, default: keep }\n');
  await using server = await serve('planning', '--config', config);
  const token = (await readFile(path.join(directory, 'planning', 'admin.token'), 'utf8')).trim();
  const answer = await fetch(`${urlIn(server.firstLine)}/admin/v1/retention/plan`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}` },
  });
  const lines = (await answer.text()).trim().split('\n');
  expect(lines).toHaveLength(2);
  expect(lines[0]).toMatch(/^\{"plan":\{"madeAt":".+","policyHash":"sha256:[0-9a-f]{64}"\}\}$/);
  expect(lines[1]).toStartWith('{"total":{"repositories":0,');
});
