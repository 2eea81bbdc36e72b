import { mkdir, readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { parse as parseYaml } from 'yaml';
import { parseSuiteReport, type SuiteReport } from './suite-report.ts';

/** The version of the specification that the suite holds the registry to. */
export type SpecVersion = '1.1' | 'dev';

/** One run of the conformance suite. */
export interface SuiteRun {
  /** Path of the suite's program. */
  readonly program: string;
  /** `HOST:PORT` of the registry. */
  readonly registry: string;
  /** The file of the authority that has signed the registry's certificate; undefined where it speaks plain HTTP. */
  readonly tlsAuthority: string | undefined;
  readonly version: SpecVersion;
  /** Whether manifests are pushed whose blobs were not. */
  readonly sparse: boolean;
  /** As whom it logs in; undefined: it does not. */
  readonly login?: { readonly name: string; readonly password: string } | undefined;
  /** Where the suite leaves its reports; made anew. */
  readonly resultsDirectory: string;
}

const endsWithinMs = 10 * 60_000;

/** Each option of the suite. Some of them are off unless they are asked for, which depends on the version. */
const apiOptions = [
  'PING',
  'PULL',
  'PUSH',
  'BLOBS_ATOMIC',
  'BLOBS_DELETE',
  'BLOBS_DIGEST_HEADER',
  'BLOBS_MOUNT_ANONYMOUS',
  'BLOBS_UPLOAD_CANCEL',
  'MANIFESTS_ATOMIC',
  'MANIFESTS_DELETE',
  'MANIFESTS_DIGEST_HEADER',
  'MANIFESTS_TAG_PARAM',
  'TAGS_ATOMIC',
  'TAGS_DELETE',
  'TAGS_LIST',
  'REFERRER',
];
const dataOptions = [
  'IMAGE',
  'INDEX',
  'INDEX_LIST',
  'ARTIFACT',
  'SUBJECT',
  'SUBJECT_MISSING',
  'ARTIFACT_LIST',
  'SUBJECT_LIST',
  'DATA_FIELD',
  'NONDISTRIBUTABLE',
  'CUSTOM_FIELDS',
  'NO_LAYERS',
  'EMPTY_BLOB',
  'SHA512',
];

/**
 * Runs the suite against a registry with every option on.
 *
 * @throws if it does not end within ten minutes, leaves no report, or did not run all that it was asked to
 */
export async function runSuite(run: SuiteRun): Promise<SuiteReport> {
  await rm(run.resultsDirectory, { recursive: true, force: true });
  await mkdir(run.resultsDirectory, { recursive: true });
  const suite = Bun.spawn([run.program], {
    // In this directory it finds no configuration file that somebody has left.
    cwd: run.resultsDirectory,
    env: environmentOf(run),
    stdin: 'ignore',
    stdout: Bun.file(path.join(run.resultsDirectory, 'suite.log')),
    stderr: Bun.file(path.join(run.resultsDirectory, 'suite.err')),
    timeout: endsWithinMs,
    killSignal: 'SIGKILL',
  });
  // Its exit code is no help: it is 0 also if the suite could not start to test.
  await suite.exited;
  if (suite.signalCode !== null) throw new Error(`the suite was ended by ${suite.signalCode}`);

  const results = await readResult(run, 'results.yaml');
  const off = optionsOff(parseYaml(results), run);
  if (off.length > 0) throw new Error(`the suite ran otherwise than it was asked to: ${off.join(', ')}`);
  return parseSuiteReport(await readResult(run, 'junit.xml'));
}

function environmentOf(run: SuiteRun): Record<string, string | undefined> {
  const on = [...apiOptions.map((name) => `OCI_API_${name}`), ...dataOptions.map((name) => `OCI_DATA_${name}`)];
  return {
    PATH: process.env['PATH'],
    OCI_REGISTRY: run.registry,
    ...(run.tlsAuthority === undefined
      ? { OCI_TLS: 'disabled' }
      : { OCI_TLS: 'enabled', SSL_CERT_FILE: run.tlsAuthority }),
    OCI_VERSION: run.version,
    OCI_RESULTS_DIR: run.resultsDirectory,
    OCI_LOG: 'error',
    OCI_DATA_SPARSE: String(run.sparse),
    ...(run.login === undefined ? {} : { OCI_USERNAME: run.login.name, OCI_PASSWORD: run.login.password }),
    ...Object.fromEntries(on.map((name) => [name, 'true'])),
  };
}

async function readResult(run: SuiteRun, name: string): Promise<string> {
  try {
    return await readFile(path.join(run.resultsDirectory, name), 'utf8');
  } catch {
    const said = await readFile(path.join(run.resultsDirectory, 'suite.err'), 'utf8');
    throw new Error(`the suite left no ${name}: ${said.trim()}`);
  }
}

/** What the suite's own account of its configuration shows as off, or as another version than was asked for. */
function optionsOff(results: unknown, run: SuiteRun): string[] {
  const config = field(results, 'config');
  const off = [...namesOff(field(config, 'apis'), 'apis'), ...namesOff(field(config, 'data'), 'data')].filter(
    (name) => run.sparse || name !== 'data.sparse',
  );
  const version = field(config, 'version');
  return version === run.version ? off : [...off, `version ${String(version)}`];
}

function namesOff(value: unknown, name: string): string[] {
  if (value === true) return [];
  if (typeof value !== 'object' || value === null) return [name];
  return Object.entries(value).flatMap(([key, inner]) => namesOff(inner, `${name}.${key}`));
}

function field(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
}
