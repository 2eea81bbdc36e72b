import { describe, expect, test } from 'bun:test';
import type { Environment } from './environment.ts';
import { variableOf } from './environment.ts';
import { flagOf } from './flags.ts';
import { loadConfig } from './load.ts';
import type { LoadResult } from './load.ts';
import type { Config } from './schema.ts';
import { allSettings, namesSetBy, settable, shorthands } from './settings.ts';
import type { SourceKind } from './source.ts';

interface Sources {
  readonly file?: string;
  readonly env?: Environment;
  readonly flags?: Readonly<Record<string, string>>;
}

async function load({ file, env = {}, flags = {} }: Sources): Promise<LoadResult> {
  return await loadConfig({
    configFile: file === undefined ? undefined : 'wherry.yaml',
    env,
    flags: new Map(Object.entries(flags)),
    readFile: () => file ?? '',
  });
}

async function configOf(sources: Sources): Promise<Config> {
  const loaded = await load(sources);
  if (!loaded.ok) throw new Error(loaded.problems.join('\n'));
  return loaded.config;
}

async function problemsOf(sources: Sources): Promise<readonly string[]> {
  const loaded = await load(sources);
  if (loaded.ok) throw new Error('the configuration was accepted');
  return loaded.problems;
}

/** A configuration file that sets one setting. */
function fileWith(name: string, value: string): string {
  return name.split('.').reduceRight((inner, key) => `{ ${key}: ${inner} }`, JSON.stringify(value));
}

/** For each setting, a value that is not its default. */
const otherValues: Readonly<Record<string, string>> = {
  data: '/srv/wherry',
  metadata: 'postgres://wherry@127.0.0.1/registry',
  blobs: 's3://registry/blobs',
  's3.endpoint': 'http://127.0.0.1:9000/',
  's3.region': 'eu-central-1',
  's3.profile': 'registry',
  's3.pathStyle': 'on',
  's3.encryption': 'aws:kms',
  's3.storageClass': 'STANDARD_IA',
  's3.partSize': '16MiB',
  'postgres.connections': '20',
  'postgres.statementTimeout': '1m',
  's3.lateWrites': '0',
  's3.redirect': 'on',
  's3.redirectLife': '5m',
  's3.redirectEndpoint': 'https://blobs.example.com',
  's3.redirectRepositories': 'public/**, base',
  's3.redirectNetworks': '10.0.0.0/8',
  workers: '3',
  listen: '[::1]:0',
  'auth.htpasswd': '/etc/wherry/htpasswd',
  'auth.anonymous': 'pull',
  'auth.tokens.serve': 'off',
  'auth.tokens.service': 'registry.example.com',
  'auth.tokens.realm': 'https://registry.example.com/token',
  'auth.tokens.life': '10m',
  'auth.tokens.rotation': '7d',
  'auth.tokens.refreshLife': '0',
  'tls.certificate': '/etc/wherry/tls.crt',
  'tls.key': '/etc/wherry/tls.key',
  'tls.clientCertificates': 'optional',
  'tls.clientAuthorities': '/etc/wherry/clients.crt',
  'tls.handshakeTimeout': '5s',
  'windows.lease': '200ms',
  'windows.neverTagged': '0',
  'windows.trash': '1h30m',
  'windows.condemned': '1s',
  'windows.upload': '7d',
  'windows.adopted': '60d',
  'manifests.maxSize': '5MB',
  'manifests.sparse': 'allow',
  'manifests.sparse.images': 'allow',
  'manifests.sparse.indexes': 'allow',
  'http.trustedProxies': '10.0.0.0/8, ::1',
  'http.hosts': 'registry.example.com, wherry.lan',
  'http.location': 'absolute',
  'http.idleTimeout': '0',
  'http.drain': '2m',
  'http.plainListen': '127.0.0.1:5001',
  'limits.connections': '5000',
  'limits.connectionsPerClient': '100',
  'limits.uploadsPerClient': '10',
  'limits.uploadSessionsPerClient': '20',
  'limits.uploadRatePerClient': '10MiB',
  'limits.requestRatePerClient': '50',
  'limits.requestBurstPerClient': '500',
  'pulls.flush': '100ms',
  'pulls.history': '30d',
  'collector.rate': '100',
  'collector.batch': '8',
  'collector.share': '25',
  'collector.run': 'off',
  'retention.delay': '3s',
  'retention.notice': '2d',
  'retention.clockStep': '2m',
  'retention.clockPause': '5h',
  'storage.high': '95%',
  'storage.low': '70%',
  'storage.reserve': '2GiB',
  'events.keep': '365d',
  'audit.file': 'audit.jsonl',
  'log.level': 'debug',
  'log.format': 'json',
  'log.requests': 'all',
};

test('without any source every setting has its default', async () => {
  const loaded = await load({});
  expect(loaded).toEqual({
    ok: true,
    sources: new Map(allSettings.map(({ name }) => [name, 'default'])),
    policies: undefined,
    quotas: undefined,
    access: undefined,
    groups: undefined,
    issuers: undefined,
    immutable: undefined,
    config: {
      data: './data',
      metadata: { kind: 'sqlite' },
      blobs: { kind: 'directory' },
      postgres: { connections: 10, statementTimeoutMs: 30_000 },
      s3: {
        endpoint: undefined,
        region: undefined,
        isPathStyle: false,
        profile: undefined,
        encryption: undefined,
        storageClass: undefined,
        partBytes: 8 * 1024 * 1024,
        lateWritesMs: 1_200_000,
        isRedirecting: false,
        redirectLifeMs: 600_000,
        redirectEndpoint: undefined,
        redirectRepositories: ['**'],
        redirectNetworks: undefined,
      },
      workers: 1,
      listen: { host: '127.0.0.1', port: 5000 },
      auth: {
        htpasswd: undefined,
        anonymous: 'none',
        tokens: {
          isServed: true,
          service: 'wherry',
          realm: undefined,
          lifeMs: 300_000,
          rotationMs: 30 * 86_400_000,
          refreshLifeMs: 90 * 86_400_000,
        },
      },
      tls: {
        certificate: undefined,
        key: undefined,
        clientCertificates: 'none',
        clientAuthorities: undefined,
        handshakeTimeoutMs: 10_000,
      },
      windows: {
        leaseMs: 6 * 3_600_000,
        neverTaggedMs: 30 * 86_400_000,
        trashMs: 72 * 3_600_000,
        condemnedMs: 600_000,
        uploadMs: 86_400_000,
        adoptedMs: 30 * 86_400_000,
      },
      manifests: { maxSizeBytes: 4 * 1024 * 1024, sparse: { images: false, indexes: false } },
      http: {
        trustedProxies: [],
        hosts: [],
        location: 'relative',
        idleTimeoutMs: 120_000,
        drainMs: 30_000,
        plainListen: undefined,
      },
      limits: {
        connections: 0,
        connectionsPerClient: 0,
        uploadsPerClient: 1000,
        uploadSessionsPerClient: 10_000,
        uploadBytesPerSecondPerClient: undefined,
        requestsPerSecondPerClient: 0,
        requestBurstPerClient: 200,
      },
      pulls: { flushMs: 30_000, historyMs: 90 * 86_400_000 },
      collector: { isRun: true, perSecond: 5000, batch: 16, shareBesideRequests: 0.01 },
      retention: { lookAfterMs: 10_000, noticeMs: 259_200_000, largestClockStepMs: 600_000, clockPauseMs: 86_400_000 },
      storage: { high: { unit: 'percent', percent: 90 }, low: { unit: 'percent', percent: 81 }, reserve: undefined },
      events: { keepMs: 90 * 86_400_000 },
      audit: { file: undefined },
      log: { level: 'info', format: 'auto', requests: 'changes' },
    },
  });
});

describe.each(settable.map(({ name }) => name))('the setting %s', (name) => {
  const value = otherValues[name] ?? 'no value for this test';
  const fromFile = { file: fileWith(name, value) };
  const fromEnvironment = { env: { [variableOf(name)]: value } };
  const fromFlag = { flags: { [name]: value } };

  test('means the same in the file, in the environment and as a flag', async () => {
    const config = await configOf(fromFile);
    expect(config).not.toEqual(await configOf({}));
    expect(await configOf(fromEnvironment)).toEqual(config);
    expect(await configOf(fromFlag)).toEqual(config);
  });

  test('says where its value comes from', async () => {
    for (const [kind, from] of [
      ['file', fromFile],
      ['environment', fromEnvironment],
      ['flag', fromFlag],
    ] as const) {
      const loaded = await load(from);
      const expected = allSettings.map((one): [string, SourceKind] => [
        one.name,
        namesSetBy(name).includes(one.name) ? kind : 'default',
      ]);
      expect(loaded.ok ? [...loaded.sources] : []).toEqual(expected);
    }
  });

  test('is refused with its name, its origin, the value and what it takes', async () => {
    const accepts = settable.find((one) => one.name === name)?.type.accepts ?? '';
    // Any text can be a path, but for none at all.
    const bad = accepts.startsWith('the path of a') ? '' : '?';
    for (const [origin, from] of [
      ['wherry.yaml:1', { file: fileWith(name, bad) }],
      [flagOf(name), { flags: { [name]: bad } }],
    ] as const) {
      const [problem, ...others] = await problemsOf(from);
      expect(others).toEqual([]);
      expect(problem).toStartWith(`${origin}: ${name} cannot be "${bad}": `);
      expect(problem).toEndWith(`. It takes ${accepts}.`);
    }
  });
});

test('a flag wins over the environment, the environment over the file, the file over the default', async () => {
  const file = 'windows: { lease: 1s, trash: 1s, upload: 1s }';
  const env = { WHERRY_WINDOWS_LEASE: '2s', WHERRY_WINDOWS_TRASH: '2s' };
  const { windows } = await configOf({ file, env, flags: { 'windows.lease': '3s' } });
  expect([windows.leaseMs, windows.trashMs, windows.uploadMs, windows.condemnedMs]).toEqual([
    3000, 2000, 1000, 600_000,
  ]);
});

test('what is refused is shown as it was written, but for a password', async () => {
  const value = 'postgres://wherry:not-to-be-shown@db example/registry';
  const [problem] = await problemsOf({ flags: { metadata: value } });
  expect(problem).toContain('metadata cannot be "postgres://wherry:…@db example/registry"');
});

test.each([
  'application_name',
  'statement_timeout',
  'query_timeout',
  'lock_timeout',
  'idle_in_transaction_session_timeout',
])(
  'an address of a database with %s is refused, as it would go before what the registry sets itself, and its passwords are not shown',
  async (name) => {
    const value = `postgres://wherry@db/registry?sslmode=verify-full&${name}=1&sslpassword=secret`;
    const [problem, ...others] = await problemsOf({ flags: { metadata: value } });
    expect(others).toEqual([]);
    expect(problem).toContain(`leave ${name} out of it: `);
    expect(problem).toContain('sslpassword=…"');
  },
);

test('an address of a database may ask the server for options and for TLS', async () => {
  const url = 'postgres://wherry@db/registry?sslmode=verify-full&options=-c%20search_path%3Dregistry';
  expect((await configOf({ flags: { metadata: url } })).metadata).toEqual({ kind: 'postgres', url });
});

describe('manifests.sparse', () => {
  test('yields to the setting for one kind within the same source, in whatever order', async () => {
    const env = { WHERRY_MANIFESTS_SPARSE_IMAGES: 'refuse', WHERRY_MANIFESTS_SPARSE: 'allow' };
    const sparse = { images: false, indexes: true };
    expect((await configOf({ env })).manifests.sparse).toEqual(sparse);
    const flags = { 'manifests.sparse': 'allow', 'manifests.sparse.images': 'refuse' };
    expect((await configOf({ flags })).manifests.sparse).toEqual(sparse);
  });

  test('wins over the setting for one kind in a source that counts less', async () => {
    const file = 'manifests: { sparse: { images: allow } }';
    const { manifests } = await configOf({ file, env: { WHERRY_MANIFESTS_SPARSE: 'refuse' } });
    expect(manifests.sparse).toEqual({ images: false, indexes: false });
  });

  test('stands for settings that exist', () => {
    const names = new Set(allSettings.map(({ name }) => name));
    for (const { standsFor } of shorthands) {
      expect(standsFor.filter((name) => !names.has(name))).toEqual([]);
    }
  });
});

test('trusted proxies can be a list in the file, and none everywhere', async () => {
  const file = 'http:\n  trustedProxies:\n    - 10.0.0.0/8\n    - "::1"\n';
  expect((await configOf({ file })).http.trustedProxies).toEqual(['10.0.0.0/8', '::1']);
  expect((await configOf({ file, flags: { 'http.trustedProxies': 'none' } })).http.trustedProxies).toEqual([]);
  expect((await configOf({ file: 'http: { trustedProxies: [] }' })).http.trustedProxies).toEqual([]);
});

test('everything that is wrong is reported at once, overridden values too', async () => {
  const problems = await problemsOf({
    file: 'windows:\n  lease: 200\n  leese: 6h\n',
    env: { WHERRY_LISTNE: '1', WHERRY_LOG_LEVEL: 'loud', WHERRY_HTTP_TRUSTED_PROXIES: '10.0.0.0/8,proxy,::/200' },
    flags: { 'windows.lease': '1h', 'http.idleTimeout': '5m', 'manifests.maxSize': '1MiB', 'http.drain': '2d' },
  });
  const window = 'a duration such as 200ms, 30s or 1h30m (units: d, h, m, s, ms), from';
  expect(problems).toEqual([
    'wherry.yaml:3: windows.leese is not a setting (did you mean windows.lease?)',
    'WHERRY_LISTNE in the environment: this is not a setting (did you mean WHERRY_LISTEN?)',
    `wherry.yaml:2: windows.lease cannot be "200": add a unit, as in 200ms, 200s, 200m or 200h. It takes ${window} 1ms to 36500d, or 0: no time at all.`,
    'WHERRY_LOG_LEVEL in the environment: log.level cannot be "loud": this is none of these. It takes one of debug, info, warn, error.',
    'WHERRY_HTTP_TRUSTED_PROXIES in the environment: http.trustedProxies cannot be "10.0.0.0/8,proxy,::/200": "proxy" is not an IP address; "::/200" has no prefix length from 0 to 128. It takes IP addresses and networks such as 10.0.0.0/8, separated by commas (a list in the file), or none.',
    `--http-idle-timeout: http.idleTimeout cannot be "5m": this is too long. It takes ${window} 1s to 4m15s, or 0: never.`,
    '--manifests-max-size: manifests.maxSize cannot be "1MiB": this is too small. It takes a size such as 4MiB or 10MB, from 4MiB to 64MiB.',
    `--http-drain: http.drain cannot be "2d": this is too long. It takes ${window} 1ms to 1d, or 0: cut them off at once.`,
  ]);
});

describe('the configuration file', () => {
  const readFile = (path: string): string => {
    if (path === 'there.yaml') return 'data: /srv\n';
    throw new Error(`no such file: ${path}`);
  };
  const flags = new Map<string, string>();

  test('is named by WHERRY_CONFIG where no flag names one', async () => {
    const env = { WHERRY_CONFIG: 'there.yaml' };
    const loaded = await loadConfig({ env, flags, readFile });
    expect(loaded.ok && loaded.config.data).toBe('/srv');
    const other = await loadConfig({ env, flags, readFile, configFile: 'elsewhere.yaml' });
    expect(other.ok).toBe(false);
  });

  test('that cannot be read is reported with the reason, beside all other problems', async () => {
    const env = { WHERRY_CONFIG: 'gone.yaml', WHERRY_DATE: '/srv' };
    expect(await loadConfig({ env, flags, readFile })).toEqual({
      ok: false,
      problems: [
        'WHERRY_CONFIG in the environment: the configuration file gone.yaml cannot be read: no such file: gone.yaml',
        'WHERRY_DATE in the environment: this is not a setting (did you mean WHERRY_DATA?)',
      ],
    });
  });
});

test.each([
  [{ 'storage.high': '80%', 'storage.low': '80%' }, 'the lower bound has to be below the upper one'],
  [{ 'storage.high': '50GiB', 'storage.low': '70%' }, 'give both in percent, or both in bytes'],
  [{ 'storage.high': 'off', 'storage.low': '70%' }, 'set both, or neither'],
])('bounds that contradict each other are refused: %j', async (flags, problem) => {
  const loaded = await load({ flags });
  expect(loaded.ok ? [] : loaded.problems).toEqual([expect.stringContaining(problem)]);
});

describe('blobs in a bucket', () => {
  const blobs = 's3://registry/some/prefix';
  const minio = 'http://127.0.0.1:9000/';

  test('lie under the prefix, with a slash at its end', async () => {
    const inBucket = { kind: 's3', bucket: 'registry', prefix: 'some/prefix/' } as const;
    expect((await configOf({ flags: { blobs } })).blobs).toEqual(inBucket);
    expect((await configOf({ flags: { blobs: `${blobs}/` } })).blobs).toEqual(inBucket);
    expect((await configOf({ flags: { blobs: 's3://registry' } })).blobs).toEqual({ ...inBucket, prefix: '' });
  });

  test('have no bounds that are shares of the disk', async () => {
    const { storage } = await configOf({ flags: { blobs } });
    expect(storage).toEqual({ high: undefined, low: undefined, reserve: { unit: 'bytes', sizeBytes: 0 } });
    const bytes = await configOf({ flags: { blobs, 'storage.high': '10GiB' } });
    expect(bytes.storage.high).toEqual({ unit: 'bytes', sizeBytes: 10 * 1024 ** 3 });
  });

  test('are reached by their path, in some region, where an endpoint is given', async () => {
    const { s3 } = await configOf({ flags: { blobs, 's3.endpoint': 'http://127.0.0.1:9000' } });
    expect([s3.isPathStyle, s3.region]).toEqual([true, 'us-east-1']);
  });

  test.each<
    [
      env: Environment,
      flags: Readonly<Record<string, string>>,
      endpoint: string | undefined,
      region: string | undefined,
      isPathStyle: boolean,
    ]
  >([
    [{}, {}, undefined, undefined, false],
    [{ AWS_REGION: 'eu-west-1' }, {}, undefined, 'eu-west-1', false],
    [{ AWS_DEFAULT_REGION: 'eu-west-2' }, {}, undefined, 'eu-west-2', false],
    [{ AWS_REGION: 'eu-west-1' }, { 's3.endpoint': minio }, minio, 'eu-west-1', true],
    [{ AWS_REGION: '', AWS_DEFAULT_REGION: 'eu-west-2' }, { 's3.endpoint': minio }, minio, 'eu-west-2', true],
    [{ AWS_REGION: 'eu-west-1' }, { 's3.endpoint': minio, 's3.region': 'here' }, minio, 'here', true],
    [{ AWS_REGION: 'auto' }, { 's3.endpoint': minio }, minio, 'auto', true],
    [{ AWS_ENDPOINT_URL_S3: minio, AWS_ENDPOINT_URL: 'http://127.0.0.1:1' }, {}, minio, 'us-east-1', true],
    [{ AWS_ENDPOINT_URL: 'http://127.0.0.1:9000', AWS_ENDPOINT_URL_S3: '' }, {}, minio, 'us-east-1', true],
    [{ AWS_ENDPOINT_URL: minio }, { 's3.pathStyle': 'off' }, minio, 'us-east-1', false],
    [{ AWS_ENDPOINT_URL: 'http://127.0.0.1:1' }, { 's3.endpoint': minio }, minio, 'us-east-1', true],
    [{ AWS_ENDPOINT_URL: minio, AWS_IGNORE_CONFIGURED_ENDPOINT_URLS: 'true' }, {}, undefined, undefined, false],
  ])('are at the server of %j and %j', async (env, flags, endpoint, region, isPathStyle) => {
    const { s3 } = await configOf({ env, flags: { blobs, ...flags } });
    expect(s3).toMatchObject({ endpoint, region, isPathStyle });
  });

  test.each([
    [{ AWS_ENDPOINT_URL: 'minio:9000' }, { 's3.endpoint': minio }, 'AWS_ENDPOINT_URL in the environment is not a URL'],
    [{ AWS_ENDPOINT_URL_S3: 'aws' }, { 's3.endpoint': minio }, 'AWS_ENDPOINT_URL_S3 in the environment is not a URL'],
    [{ AWS_REGION: 'in Europe' }, { 's3.region': 'eu-west-1' }, 'AWS_REGION in the environment is not the name'],
  ])('are not at that of %j, but where %j is set', async (env, flags, problem) => {
    expect(await problemsOf({ env, flags: { blobs } })).toEqual([expect.stringContaining(problem)]);
    expect((await load({ env, flags: { blobs, ...flags } })).ok).toBe(true);
    expect((await load({ env })).ok).toBe(true);
  });

  test.each([
    [{ 'storage.high': '80%' }, 'storage.high is 80%, a share of the disk, while the blobs lie in a bucket'],
    [{ 'storage.reserve': '1GiB' }, 'storage.reserve is what stays free on the disk'],
    [
      { 's3.redirect': 'on', 'windows.condemned': '5m' },
      's3.redirectLife is 10m and windows.condemned 5m: bytes must stay',
    ],
    [{ 's3.redirect': 'on', 's3.redirectLife': '61m' }, 's3.redirectLife is 1h1m and windows.condemned 1h: bytes must'],
  ])('are refused with %j', async (others, problem) => {
    const loaded = await load({ flags: { blobs, ...others } });
    expect(loaded.ok ? [] : loaded.problems).toEqual([expect.stringContaining(problem)]);
  });

  test.each([
    [{ 's3.redirectLife': '10m' }, 60],
    [{ 's3.redirectLife': '60m' }, 61],
    [{ 's3.redirectLife': '10m', 'windows.condemned': '10m' }, 11],
    [{ 's3.redirectLife': '5m', 'windows.condemned': '5m' }, 6],
    [{ 's3.redirectLife': '5m', 'windows.condemned': '6m' }, 6],
    [{ 's3.redirect': 'off' }, 60],
    [{ 's3.redirect': 'off', 'windows.condemned': '10m' }, 10],
    [{ blobs: 'directory' }, 10],
  ])(
    'stay for an hour, and for a minute longer than URLs to them at least: with %j for %d min',
    async (others, minutes) => {
      const { windows } = await configOf({ flags: { blobs, 's3.redirect': 'on', ...others } });
      expect(windows.condemnedMs).toBe(minutes * 60_000);
    },
  );

  test('may go sooner where no pull is sent to a URL', async () => {
    expect((await load({ flags: { blobs, 'windows.condemned': '0' } })).ok).toBe(true);
  });

  test.each([
    ['s3://key:secret@registry', 'credentials do not stand here'],
    ['s3://', 'this is not the name of a bucket'],
    ['s3://registry//twice', 'the prefix has other characters'],
    ['https://registry', 'this is neither'],
  ])('do not lie at %s', async (place, problem) => {
    expect(await problemsOf({ flags: { blobs: place } })).toEqual([expect.stringContaining(problem)]);
  });
});
