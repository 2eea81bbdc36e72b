/**
 * `npm run bench:tls [-- FLAGS]`: what TLS costs, and counting connections, beside plain HTTP. bench/README.md explains the
 * figures.
 */
import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { Command } from 'commander';
import { z } from 'zod';
import { freePort } from '../../test/server/free-port.ts';
import { ServerProcess } from '../../test/server/server-process.ts';
import { pathOf } from '../../test/tls/certificates/certificates.ts';
import { outputOf } from '../command.ts';
import { median } from '../figures.ts';
import { treeUsage } from '../process-tree.ts';

const options = new Command('bench:tls')
  .option('--gib <size>', 'size of the blob in GiB', Number, 1)
  .option('--rounds <count>', 'rounds over all ways to connect', Number, 3)
  .option('--seconds <duration>', 'how long each load of small requests lasts', Number, 4)
  .option('--dir <directory>', 'where everything is stored', '.cache')
  .parse()
  .opts<{ gib: number; rounds: number; seconds: number; dir: string }>();

/** A way to reach a registry. */
interface Way {
  readonly name: string;
  readonly protocol: 'plain' | 'tls';
  readonly port: number;
  readonly pid: number;
}

const rows = {
  pullRate: 'pull, MB/s',
  pullCpu: 'pull, CPU-s/GB',
  manifestRate: 'manifests on kept connections, requests/s',
  manifestCpu: 'manifests on kept connections, CPU µs each',
  connectionRate: 'manifests on new connections, requests/s',
  connectionCpu: 'manifests on new connections, CPU µs each',
} as const;
type Row = keyof typeof rows;
const rowNames = ['pullRate', 'pullCpu', 'manifestRate', 'manifestCpu', 'connectionRate', 'connectionCpu'] as const;

const load = z.object({ answers: z.number(), seconds: z.number() });
const connections = 16;
const gib = 1024 ** 3;

const directory = await mkdtemp(join(resolve(options.dir), 'bench-tls-'));
try {
  await using served = await serve('one', 'both', [
    '--tls-certificate',
    pathOf('first.crt'),
    '--tls-key',
    pathOf('first.key'),
  ]);
  await using counted = await serve('other', 'plain', ['--limits-connections', '1000000']);
  const blobPath = await fill([served, counted]);
  const ways: readonly Way[] = [
    { name: 'plain', protocol: 'plain', port: served.plainPort, pid: served.server.pid },
    { name: 'TLS', protocol: 'tls', port: served.port, pid: served.server.pid },
    { name: 'plain, connections counted', protocol: 'plain', port: counted.plainPort, pid: counted.server.pid },
  ];
  const samples = new Map(ways.map(({ name }) => [name, new Map<Row, number[]>(rowNames.map((row) => [row, []]))]));
  for (let round = 0; round < options.rounds; round++) {
    for (const way of ways) {
      const add = (row: Row, value: number): void => void samples.get(way.name)?.get(row)?.push(value);
      const pulled = await pull(way, blobPath);
      add('pullRate', pulled.rate);
      add('pullCpu', pulled.cpu);
      const kept = await ask(way, 'kept');
      add('manifestRate', kept.rate);
      add('manifestCpu', kept.cpu);
      const fresh = await ask(way, 'new');
      add('connectionRate', fresh.rate);
      add('connectionCpu', fresh.cpu);
    }
  }
  const valueOf = (way: Way | undefined, row: Row): number =>
    median(samples.get(way?.name ?? '')?.get(row) ?? []) ?? NaN;
  const cellOf = (way: Way, row: Row): string => {
    const value = valueOf(way, row);
    const ratio = way === ways[0] ? '' : ` (${(value / valueOf(ways[0], row)).toFixed(2)}×)`;
    return `${value.toLocaleString('en', { maximumFractionDigits: row === 'pullCpu' ? 2 : 0 })}${ratio}`;
  };
  console.log(`| | ${ways.map(({ name }) => name).join(' | ')} |\n| --- | ${ways.map(() => '---:').join(' | ')} |`);
  for (const row of rowNames) {
    console.log(`| ${rows[row]} | ${ways.map((way) => cellOf(way, row)).join(' | ')} |`);
  }
} finally {
  await rm(directory, { recursive: true });
}

interface Served extends AsyncDisposable {
  readonly server: ServerProcess;
  /** The port of TLS, where it is spoken. */
  readonly port: number;
  readonly plainPort: number;
}

async function serve(name: string, listening: 'both' | 'plain', flags: readonly string[]): Promise<Served> {
  const [port, plainPort] = [freePort(), freePort()];
  const places =
    listening === 'both'
      ? ['--listen', `127.0.0.1:${port}`, '--http-plain-listen', `127.0.0.1:${plainPort}`]
      : ['--listen', `127.0.0.1:${plainPort}`];
  const server = await ServerProcess.start(plainPort, join(directory, `${name}.log`), {
    command: [
      process.execPath,
      'src/main.ts',
      'serve',
      '--data',
      join(directory, name),
      '--log-requests',
      'errors',
      ...places,
      ...flags,
    ],
  });
  return { server, port, plainPort, [Symbol.asyncDispose]: async () => await server[Symbol.asyncDispose]() };
}

/** Pushes the same blob and manifest to each. @returns the path of the blob */
async function fill(registries: readonly Served[]): Promise<string> {
  const file = join(directory, 'blob');
  await outputOf([
    'dd',
    'if=/dev/urandom',
    `of=${file}`,
    'bs=1M',
    `count=${Math.round((options.gib * gib) / 2 ** 20)}`,
  ]);
  const digest = `sha256:${(await outputOf(['sha256sum', file])).slice(0, 64)}`;
  const config = '{"architecture":"amd64","os":"linux"}';
  const configDigest = `sha256:${createHash('sha256').update(config).digest('hex')}`;
  const manifest = JSON.stringify({
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config: { mediaType: 'application/vnd.oci.image.config.v1+json', digest: configDigest, size: config.length },
    layers: [],
  });
  for (const { server } of registries) {
    const uploads = `${server.origin}/v2/bench/blobs/uploads/`;
    await succeed(fetch(`${uploads}?digest=${digest}`, { method: 'POST', body: Bun.file(file) }));
    await succeed(fetch(`${uploads}?digest=${configDigest}`, { method: 'POST', body: config }));
    const headers = { 'content-type': 'application/vnd.oci.image.manifest.v1+json' };
    await succeed(fetch(`${server.origin}/v2/bench/manifests/latest`, { method: 'PUT', headers, body: manifest }));
  }
  return `/v2/bench/blobs/${digest}`;
}

async function succeed(answering: Promise<Response>): Promise<void> {
  const answer = await answering;
  if (!answer.ok) throw new Error(`${answer.url}: ${answer.status} ${await answer.text()}`);
}

/** Pulls the blob with curl into nowhere. */
async function pull({ protocol, port, pid }: Way, path: string): Promise<{ rate: number; cpu: number }> {
  const origin = `${protocol === 'tls' ? 'https' : 'http'}://127.0.0.1:${port}`;
  const before = treeUsage(pid).cpuSeconds;
  const trusting = ['--cacert', pathOf('authority.crt')];
  const output = ['--output', '/dev/null', '--write-out', '%{http_code} %{time_total}'];
  const said = await outputOf([
    'curl',
    '--silent',
    '--show-error',
    '--noproxy',
    '*',
    ...trusting,
    ...output,
    origin + path,
  ]);
  const [status, seconds = NaN] = said.split(' ').map(Number);
  if (status !== 200) throw new Error(`the pull was answered with ${status}`);
  const bytes = options.gib * gib;
  return { rate: bytes / 1e6 / seconds, cpu: (treeUsage(pid).cpuSeconds - before) / (bytes / 1e9) };
}

/** Asks for the manifest over and over, from a process of its own. */
async function ask({ protocol, port, pid }: Way, connecting: 'kept' | 'new'): Promise<{ rate: number; cpu: number }> {
  const before = treeUsage(pid).cpuSeconds;
  const words = [port, protocol, connecting, connections, options.seconds, '/v2/bench/manifests/latest'];
  const said = await outputOf([process.execPath, join(import.meta.dir, 'request.ts'), ...words.map(String)]);
  const { answers, seconds } = load.parse(JSON.parse(said));
  return { rate: answers / seconds, cpu: ((treeUsage(pid).cpuSeconds - before) / answers) * 1e6 };
}
