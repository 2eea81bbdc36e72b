// npm run conformance: the conformance suite of the OCI distribution specification, every option on, against a fresh
// `wherry serve` for each run. With `-- --registry HOST:PORT`, against a registry that runs already.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { passwordLines, passwordOf } from '../access/guarded-registry.ts';
import { goTool } from '../install/go-tools.ts';
import { forgetStoresBeside, storesBeside } from '../pairs/stores-beside.ts';
import { ownPair, pairName, testedS3Server } from '../pairs/pair.ts';
import { freePort } from '../server/free-port.ts';
import { ServerProcess } from '../server/server-process.ts';
import { pathOf } from '../tls/certificates/certificates.ts';
import { runSuite, type SpecVersion } from './suite.ts';
import type { SuiteReport } from './suite-report.ts';
import { unavoidableSkips } from './unavoidable-skips.ts';

interface Variant {
  readonly name: string;
  readonly version: SpecVersion;
  readonly sparse: boolean;
  /** Whether the registry wants a name and a password. */
  readonly guarded?: boolean;
  /** Whether the suite comes over TLS. */
  readonly tls?: boolean;
}

const variants: readonly Variant[] = [
  { name: '1.1', version: '1.1', sparse: false },
  { name: 'dev', version: 'dev', sparse: false },
  { name: '1.1 sparse', version: '1.1', sparse: true },
  { name: 'dev sparse', version: 'dev', sparse: true },
  { name: '1.1 guarded', version: '1.1', sparse: false, guarded: true },
  { name: 'dev guarded TLS', version: 'dev', sparse: false, guarded: true, tls: true },
];

const projectDirectory = path.join(import.meta.dir, '..', '..');

function resultsDirectory(variant: Variant): string {
  const name = pairName === ownPair ? variant.name : `${variant.name} on ${pairName}, ${testedS3Server}`;
  return path.join(projectDirectory, '.cache', 'conformance', name.replaceAll(' ', '-'));
}

async function runAgainst(variant: Variant, registry: string, program: string): Promise<SuiteReport> {
  const { version, sparse, guarded = false, tls = false } = variant;
  return await runSuite({
    program,
    registry,
    version,
    sparse,
    login: guarded ? { name: user, password: passwordOf(user) } : undefined,
    tlsAuthority: tls ? pathOf('authority.crt') : undefined,
    resultsDirectory: resultsDirectory(variant),
  });
}

const user = 'suite';

/** A configuration by which only one user may do something, and no more than the suite asks for. */
async function guardedConfiguration(directory: string): Promise<string> {
  const [users, config] = [path.join(directory, 'htpasswd'), path.join(directory, 'wherry.yaml')];
  await writeFile(users, await passwordLines([user]));
  const rule = { who: { users: [user] }, repositories: '**', actions: ['pull', 'push', 'tag-overwrite', 'delete'] };
  await writeFile(config, JSON.stringify({ auth: { htpasswd: users }, access: [rule] }));
  return config;
}

async function runAgainstWherry(variant: Variant, program: string): Promise<SuiteReport> {
  const directory = await mkdtemp(path.join(tmpdir(), 'wherry-conformance-'));
  try {
    const port = freePort();
    const plain = `127.0.0.1:${port}`;
    const address = variant.tls === true ? `localhost:${freePort()}` : plain;
    const flags = ['--listen', address, '--data', path.join(directory, 'data')];
    if (variant.tls === true) {
      flags.push('--tls-certificate', pathOf('first.crt'), '--tls-key', pathOf('first.key'));
      flags.push('--http-plain-listen', plain);
    }
    const main = path.join(projectDirectory, 'src', 'main.ts');
    await using server = await ServerProcess.start(port, path.join(directory, 'server.log'), {
      command: [process.execPath, main, 'serve', ...flags],
      environment: {
        ...storesBeside(path.join(directory, 'data')).environment,
        ...(variant.sparse && { WHERRY_MANIFESTS_SPARSE: 'allow' }),
        ...(variant.guarded && { WHERRY_CONFIG: await guardedConfiguration(directory) }),
      },
    });
    const report = await runAgainst(variant, address, program);
    const exitCode = await server.stop();
    if (exitCode !== 0) throw new Error(`the registry ended with ${exitCode}`);
    return report;
  } finally {
    forgetStoresBeside(path.join(directory, 'data'));
    await rm(directory, { recursive: true, force: true });
  }
}

/** The suite shows whole manifests; they stand in its report. */
function shorten(line: string): string {
  return line.length > 240 ? `${line.slice(0, 240)}…` : line;
}

/** Prints what did not pass, and gives how many tests passed and how many count as failed. */
function judge(variant: Variant, { counts, findings }: SuiteReport): { passed: number; failed: number } {
  const excused = new Set(findings.filter(({ kind, name }) => kind === 'skip' && unavoidableSkips.has(name)));
  const outdated = [...unavoidableSkips.keys()].filter((name) => !findings.some((found) => found.name === name));

  for (const finding of findings) {
    const why = excused.has(finding) ? `unavoidable: ${unavoidableSkips.get(finding.name)}` : finding.reason;
    console.log(`  ${finding.kind}: ${finding.name}`);
    for (const line of why.split('\n')) console.log(`      ${shorten(line)}`);
  }
  for (const name of outdated) console.log(`  no longer skipped, though listed as unavoidable: ${name}`);
  if (findings.length > excused.size) {
    console.log(`  Each request and answer: ${path.join(resultsDirectory(variant), 'report.html')}`);
  }
  const failed = counts.failures + counts.errors + counts.skips - excused.size + outdated.length;
  console.log(`Conformance ${variant.name}: ${counts.passed} passed, ${failed} failed, ${excused.size} excused`);
  return { passed: counts.passed, failed };
}

const { values: options } = parseArgs({ options: { registry: { type: 'string' } } });
const total = { passed: 0, failed: 0 };
// Of a registry that runs already, nobody knows who may do what, nor whether it speaks TLS, and with whose certificate.
const isOwn = options.registry === undefined;
for (const variant of variants.filter(({ guarded, tls }) => isOwn || (guarded !== true && tls !== true))) {
  try {
    const program = await goTool('conformance');
    const report =
      options.registry === undefined
        ? await runAgainstWherry(variant, program)
        : await runAgainst(variant, options.registry, program);
    const { passed, failed } = judge(variant, report);
    total.passed += passed;
    total.failed += failed;
  } catch (error) {
    console.log(
      `Conformance ${variant.name} could not be run: ${error instanceof Error ? error.message : String(error)}`,
    );
    total.failed += 1;
  }
}
console.log(`${total.passed} passed, ${total.failed} failed`);
process.exitCode = total.failed === 0 ? 0 : 1;
