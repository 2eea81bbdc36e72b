// npm run test:scale: PostgreSQL, several processes on it, and S3 servers; then the suites of the registry on each pair of
// stores but SQLite with a directory, which the other commands have. `-- PAIR…` runs those pairs only (postgres, s3,
// postgres-s3, or all four with sqlite), `-- PAIR… test/http` the named tests on them. The last line is the sum. What is quick comes first.
import { bucketVariable, nameOfPair, postgresVariable, s3ServerVariable, templateDatabase } from '../pairs/pair.ts';
import { makeTemplate } from '../pairs/template.ts';
import { type S3Server, startMinio } from './minio-server.ts';
import { type PostgresServer, startPostgres } from './postgres-server.ts';
import { type Program, Sum } from './sum.ts';
import { startVersitygw } from './versitygw-server.ts';

interface Pair {
  readonly postgres: boolean;
  readonly bucket: boolean;
}

const pairs: Readonly<Record<string, Pair>> = {
  sqlite: { postgres: false, bucket: false },
  postgres: { postgres: true, bucket: false },
  s3: { postgres: false, bucket: true },
  'postgres-s3': { postgres: true, bucket: true },
};

/** What `npm test` has of registries on SQLite and a directory, as far as it is about the two stores or what is done with them. */
const suites = [
  'src/metadata/constraints.test.ts',
  'src/registry',
  'src/collector',
  'src/server/acceptance-watch.test.ts',
  'test/metadata',
  'test/http',
  'test/property',
  'test/races',
  'test/purge/',
  'test/admin',
  'test/retention',
  'test/bounds/making-room',
  'test/quotas',
  'test/immutability',
  'test/audit',
  'test/access',
  'test/find',
  'test/fsck',
  'test/backup/adoption.test.ts',
  'test/server/killed-upload.test.ts',
];

/** The same for what is about the disk that blobs lie on: a bucket has none. */
const suitesOfDirectories = ['test/bounds'];

/** One program of tests seldom keeps more than one core busy, beside the servers. */
const atOnce = 2;

const conformance: [string, ...string[]] = [process.execPath, 'test/conformance/run.ts'];

const names = process.argv.slice(2);
const asked = names.filter((name) => name in pairs);
const tests = names.filter((name) => !(name in pairs));
const chosen = asked.length > 0 ? asked : ['postgres', 's3', 'postgres-s3'];
const sum = new Sum();

if (names.length === 0) await sum.run('several processes and machines', bunTest(['test/scale']));

const [postgres, s3, second] = await Promise.all([
  startPostgres(),
  startMinio(),
  names.length === 0 ? startVersitygw() : undefined,
]);
try {
  const server = await withTemplate(postgres);
  const environments = new Map(
    await Promise.all(chosen.map(async (name) => [name, await environmentOf(pairs[name], server, s3)] as const)),
  );
  const onEach = (what: string, command: (pair: Pair) => readonly [string, ...string[]]): readonly Program[] =>
    [...environments].map(([name, environment]) => {
      const pair = pairs[name] ?? { postgres: false, bucket: false };
      return { name: `${what} on ${nameOfPair(pair)}`, command: command(pair), environment };
    });
  if (tests.length > 0) {
    for (const { name, command, environment } of onEach(tests.join(' '), () => bunTest(tests)))
      await sum.run(name, command, environment);
  } else {
    const programs = [
      ...(second === undefined ? [] : await programsOn(second, server)),
      ...onEach('random schedules', () => bunTest(['test/model/schedules.test.ts'])),
      ...onEach('conformance', () => conformance),
      ...onEach('the registry', ({ bucket }) => bunTest(bucket ? suites : [...suites, ...suitesOfDirectories])),
      ...onEach('crashes', () => bunTest(['test/crash'])),
    ];
    await sum.runSeveral(programs, atOnce);
  }
} finally {
  await Promise.all([postgres.stop(), s3.stop(), second?.stop()]);
}
console.log(`\n${String(sum)}`);
process.exitCode = sum.failed === 0 ? 0 : 1;

function bunTest(paths: readonly string[]): [string, ...string[]] {
  return [process.execPath, 'test', '--timeout=60000', ...paths];
}

/** What runs on a second S3 server: what a server may do otherwise, a move of a registry to it, and conformance. */
async function programsOn(bucketServer: S3Server, server: string): Promise<readonly Program[]> {
  const environment = { [s3ServerVariable]: 'versitygw' };
  const onIt = { ...(await environmentOf(pairs['postgres-s3'], server, bucketServer)), ...environment };
  const some = ['test/scale/s3-servers.test.ts', 'test/scale/fsck.test.ts'];
  const move = ['test/scale/moves.test.ts', '-t', 'SQLite.*directory.*PostgreSQL.*S3'];
  return [
    { name: 'conformance on PostgreSQL and versitygw', command: conformance, environment: onIt },
    { name: 'several servers and fsck on versitygw', command: bunTest(some), environment },
    { name: 'a move to PostgreSQL and versitygw', command: bunTest(move), environment },
  ];
}

/** Has a database with the newest schema to be copied. @returns where the server answers */
async function withTemplate(running: PostgresServer): Promise<string> {
  const { protocol, username, host, href } = new URL(await running.newDatabase(templateDatabase));
  await makeTemplate(href);
  return `${protocol}//${username}@${host}`;
}

async function environmentOf(
  pair: Pair | undefined,
  server: string,
  bucketServer: S3Server,
): Promise<Readonly<Record<string, string>>> {
  return {
    ...(pair?.postgres === true && { [postgresVariable]: server }),
    ...(pair?.bucket === true && {
      ...bucketServer.environment,
      [bucketVariable]: `${bucketServer.endpoint}/${(await bucketServer.newBucket()).name}`,
    }),
  };
}
