import {
  byteSize,
  byteSizeOrNone,
  choice,
  directory,
  duration,
  fileOrNone,
  hostNames,
  httpUrl,
  listenAddress,
  listenAddressOrNone,
  networks,
  serviceName,
  storageBound,
  wholeNumber,
} from './setting-types.ts';
import type { SettingType } from './setting-types.ts';

/**
 * The one table of settings. The environment's names, the flags, the help text and docs/configuration.md are made from
 * it; schema.ts says where each value stands in `Config`.
 */
export interface Setting<T> {
  /** The path in the configuration file, joined by dots. */
  readonly name: string;
  readonly type: SettingType<T>;
  /** As a person would write it. */
  readonly default: string;
  /** One paragraph; its first sentence stands alone in the help text. */
  readonly description: string;
}

/** One value for several settings at once. Within one source, the settings that it stands for go before it. */
export interface Shorthand {
  readonly name: string;
  readonly type: SettingType<unknown>;
  readonly description: string;
  readonly standsFor: readonly string[];
}

/** A group of settings whose names begin alike, in the order of the reference page. */
export interface Section {
  /** What the names begin with; empty for those that stand alone. */
  readonly name: string;
  readonly title: string;
  readonly description: string;
}

const day = 86_400_000;
const window = duration({ minMs: 1, maxMs: 36_500 * day, zeroMeans: 'no time at all' });
const permission = choice(['allow', 'refuse']);

export const settings = {
  data: setting({
    name: 'data',
    type: directory,
    default: './data',
    description:
      'The directory that holds everything: the database and the blobs. It is made when it does not exist. A relative ' +
      'path is relative to the working directory, wherever the setting stands. One process at a time can use it.',
  }),
  listen: setting({
    name: 'listen',
    type: listenAddress,
    default: '127.0.0.1:5000',
    description:
      'Where the registry listens. The default answers this machine only; 0.0.0.0:5000 answers every IPv4 network that ' +
      'the machine is on. In the file, quote an IPv6 address: "[::1]:5000".',
  }),
  authHtpasswd: setting({
    name: 'auth.htpasswd',
    type: fileOrNone,
    default: 'none',
    description:
      'The users who may log in and their passwords, one a line as htpasswd -B and wherry auth hash write them (bcrypt ' +
      'only). It is read again when it changes. What each may do is for the access rules to say.',
  }),
  authAnonymous: setting({
    name: 'auth.anonymous',
    type: choice(['none', 'pull', 'all']),
    default: 'none',
    description:
      'What everybody may do without logging in, whatever the access rules say. With pull that is pulling from every ' +
      'repository; with all, which the flag --anonymous stands for, pushing and deleting too. With none it is what the ' +
      'rules allow; where there are neither rules nor users, everything is open, and the registry listens on a loopback ' +
      'address only.',
  }),
  authTokensServe: setting({
    name: 'auth.tokens.serve',
    type: choice(['on', 'off']),
    default: 'on',
    description:
      'Whether the registry gives tokens at /token and sends clients there to log in. With off they are asked for a name ' +
      'and a password with each request, and there are no tokens. Names and passwords are taken with each request anyway.',
  }),
  authTokensService: setting({
    name: 'auth.tokens.service',
    type: serviceName,
    default: 'wherry',
    description:
      'What tokens call this registry: who issues them, and whom they are for. Where several registries share a database, ' +
      'theirs is the same.',
  }),
  authTokensRealm: setting({
    name: 'auth.tokens.realm',
    type: httpUrl('auto'),
    default: 'auto',
    description:
      'Where clients are sent to for a token. With auto it is /token at whatever address they have asked, which behind a ' +
      'proxy that ends TLS needs http.trustedProxies.',
  }),
  authTokensLife: setting({
    name: 'auth.tokens.life',
    type: duration({ minMs: 60_000, maxMs: day }),
    default: '5m',
    description:
      'How long a token lasts. Clients get another by themselves. Whoever is revoked or loses a right is out at once, ' +
      'whatever tokens they have.',
  }),
  authTokensRotation: setting({
    name: 'auth.tokens.rotation',
    type: duration({ minMs: 60_000, maxMs: 3650 * day }),
    default: '30d',
    description: 'How long one key signs tokens before the registry makes another.',
  }),
  authTokensRefreshLife: setting({
    name: 'auth.tokens.refreshLife',
    type: duration({ minMs: 60_000, maxMs: 3650 * day, zeroMeans: 'there are none' }),
    default: '90d',
    description:
      'How long a refresh token lasts, which clients such as docker keep in place of a password. It ends with the account, ' +
      'its password or its secret.',
  }),
  tlsCertificate: setting({
    name: 'tls.certificate',
    type: fileOrNone,
    default: 'none',
    description:
      "The server's certificate, a PEM file: its own first, then those of the authorities between it and the root. With " +
      'it, listen speaks TLS and nothing else. The file is read again when it changes.',
  }),
  tlsKey: setting({
    name: 'tls.key',
    type: fileOrNone,
    default: 'none',
    description:
      'The private key of tls.certificate, a PEM file without a passphrase. It is read again when it changes.',
  }),
  tlsClientCertificates: setting({
    name: 'tls.clientCertificates',
    type: choice(['none', 'optional', 'required']),
    default: 'none',
    description:
      'Whether clients are asked for a certificate, which says who they are. With optional those without one may come ' +
      'too; with required nobody else is let in. One that tls.clientAuthorities does not vouch for is refused in both.',
  }),
  tlsClientAuthorities: setting({
    name: 'tls.clientAuthorities',
    type: fileOrNone,
    default: 'none',
    description:
      "The authorities that sign clients' certificates, a PEM file. Nobody else's are accepted, not those that the " +
      'system trusts either. It is read again when it changes.',
  }),
  tlsHandshakeTimeout: setting({
    name: 'tls.handshakeTimeout',
    type: duration({ minMs: 100, maxMs: 600_000 }),
    default: '10s',
    description: 'How long a client may take for the handshake of TLS before its connection is closed.',
  }),
  windowsLease: setting({
    name: 'windows.lease',
    type: window,
    default: '6h',
    description:
      'How long something that a client was told about stays put. It covers the time between a HEAD of a blob and the ' +
      'manifest that uses the blob: half of it at least after a HEAD, which renews only a lease that has less left, and ' +
      'all of it after a push or a mount. It is also how long a manifest stays that lost its last tag or index. Make it ' +
      'twice as long as your longest push.',
  }),
  windowsNeverTagged: setting({
    name: 'windows.neverTagged',
    type: window,
    default: '30d',
    description:
      'How long a manifest stays that was pushed by digest and is in no index and under no tag. It counts from its ' +
      'last push, pull or HEAD.',
  }),
  windowsTrash: setting({
    name: 'windows.trash',
    type: window,
    default: '72h',
    description: 'How long a deleted tag or manifest can be restored.',
  }),
  windowsCondemned: setting({
    name: 'windows.condemned',
    type: window,
    default: '10m',
    description:
      'How long bytes that nothing holds any more stay on the disk. This is also how far back the database may be ' +
      'restored from a backup without missing blobs.',
  }),
  windowsUpload: setting({
    name: 'windows.upload',
    type: window,
    default: '24h',
    description: 'How long an unfinished upload that nobody touches can be resumed.',
  }),
  manifestsMaxSize: setting({
    name: 'manifests.maxSize',
    type: byteSize({ min: '4MiB', max: '64MiB' }),
    default: '4MiB',
    description:
      'The largest manifest that can be pushed. The distribution specification asks every registry to take 4 MiB; ' +
      'clients may refuse to pull more.',
  }),
  manifestsSparseImages: setting({
    name: 'manifests.sparse.images',
    type: permission,
    default: 'refuse',
    description:
      'Whether an image manifest may be pushed before its config and layers. Refused, such a push is answered ' +
      'MANIFEST_BLOB_UNKNOWN with the digests that are missing; allowed, they count as soon as they come.',
  }),
  manifestsSparseIndexes: setting({
    name: 'manifests.sparse.indexes',
    type: permission,
    default: 'refuse',
    description:
      'Whether an index may be pushed without all of the manifests that it lists. Mirrors that copy some platforms of ' +
      'an image need this allowed.',
  }),
  httpTrustedProxies: setting({
    name: 'http.trustedProxies',
    type: networks,
    default: 'none',
    description:
      'The reverse proxies whose X-Forwarded-* headers are believed. A header that comes from any other address is ' +
      'ignored.',
  }),
  httpHosts: setting({
    name: 'http.hosts',
    type: hostNames,
    default: 'none',
    description:
      'The names by which clients reach the registry, where nobody has to log in and it listens on loopback: requests for ' +
      'other names are refused, as a page in a browser could have its own lead here. Addresses, names without a dot and ' +
      'those that end in .localhost or .internal need not be named. With any no name is refused, but for the admin API.',
  }),
  httpLocation: setting({
    name: 'http.location',
    type: choice(['relative', 'absolute']),
    default: 'relative',
    description:
      'Whether Location headers hold a path or a whole URL. A path works behind any proxy; absolute is for clients ' +
      'that cannot follow one, and needs http.trustedProxies behind a proxy that ends TLS.',
  }),
  httpIdleTimeout: setting({
    name: 'http.idleTimeout',
    type: duration({ minMs: 1000, maxMs: 255_000, zeroMeans: 'never' }),
    default: '120s',
    description: 'How long a connection may be silent before it is closed. Parts of a second are rounded up.',
  }),
  httpDrain: setting({
    name: 'http.drain',
    type: duration({ minMs: 1, maxMs: day, zeroMeans: 'cut them off at once' }),
    default: '30s',
    description:
      'How long running transfers may go on after SIGTERM or SIGINT. New connections are refused meanwhile. Keep it ' +
      'below the time after which your supervisor kills the process.',
  }),
  httpPlainListen: setting({
    name: 'http.plainListen',
    type: listenAddressOrNone,
    default: 'none',
    description:
      'Where the registry answers plain HTTP beside TLS, such as 127.0.0.1:5001 for a probe or a proxy on this machine. ' +
      'Without tls.certificate, listen is plain already.',
  }),
  limitsConnections: setting({
    name: 'limits.connections',
    type: wholeNumber({ min: 0, max: 1_000_000 }),
    default: '0',
    description:
      'How many connections may be open at once; more are refused with 503, over TLS closed. 0: as many as the system ' +
      'lets the process have files open. Counting them costs plain HTTP some speed: [performance.md](performance.md) says how much.',
  }),
  limitsConnectionsPerClient: setting({
    name: 'limits.connectionsPerClient',
    type: wholeNumber({ min: 0, max: 1_000_000 }),
    default: '0',
    description:
      'How many connections one address may have open at once, an IPv6 network of 64 bits counting as one; more are ' +
      'refused with 429, over TLS closed. 0: no limit. Addresses in http.trustedProxies have none.',
  }),
  limitsUploadsPerClient: setting({
    name: 'limits.uploadsPerClient',
    type: wholeNumber({ min: 0, max: 1_000_000 }),
    default: '1000',
    description:
      'How many requests of one client may be sending blobs and manifests at once; more are refused with 429. 0: no ' +
      'limit. A client is who has logged in or shown a certificate, else an address.',
  }),
  limitsUploadSessionsPerClient: setting({
    name: 'limits.uploadSessionsPerClient',
    type: wholeNumber({ min: 0, max: 1_000_000 }),
    default: '10000',
    description:
      'How many upload sessions one client may have open, whether anything is being sent to them or not; further ones ' +
      'are refused with 429. One that nobody goes on with ends after windows.upload. 0: no limit.',
  }),
  limitsUploadRatePerClient: setting({
    name: 'limits.uploadRatePerClient',
    type: byteSizeOrNone({ min: '1KiB', max: '1024GiB' }),
    default: 'none',
    description:
      "How many bytes a client may send in a second, on average; once it has sent more than a minute's worth of that " +
      'ahead, its next upload is refused with 429 until that is made up for. What is under way is never cut.',
  }),
  limitsRequestRatePerClient: setting({
    name: 'limits.requestRatePerClient',
    type: wholeNumber({ min: 0, max: 1_000_000 }),
    default: '0',
    description:
      'How many requests a client may make in a second, on average; more are refused with 429. 0: no limit. Health, ' +
      'metrics and the admin API have none.',
  }),
  limitsRequestBurstPerClient: setting({
    name: 'limits.requestBurstPerClient',
    type: wholeNumber({ min: 1, max: 1_000_000 }),
    default: '200',
    description:
      'How many requests a client may make at once that was silent before, where limits.requestRatePerClient is set. An ' +
      'image of ten layers is some 15 requests to pull, 50 to push.',
  }),
  pullsFlush: setting({
    name: 'pulls.flush',
    type: duration({ minMs: 10, maxMs: 3_600_000 }),
    default: '30s',
    description:
      'How often the last-pulled times of manifests and tags are written. A crash forgets the pulls since the last ' +
      'write; no pull ever waits for it.',
  }),
  pullsHistory: setting({
    name: 'pulls.history',
    type: duration({ minMs: 1, maxMs: 36_500 * day, zeroMeans: 'nothing is remembered' }),
    default: '90d',
    description:
      'How long it is remembered what was pulled on which day, pushed and removed. wherry retention simulate replays ' +
      'it. It takes some 125 bytes for each manifest, tag and day with pulls, and 165 for each push and removal, with ' +
      'another 85 for each blob of a manifest that was collected. No more than five million of the former and two million ' +
      'of the latter are kept.',
  }),
  collectorRate: setting({
    name: 'collector.rate',
    type: wholeNumber({ min: 1, max: 1_000_000 }),
    default: '5000',
    description:
      'How many things the collector looks at in a second, at most. An image of ten layers is some twenty things. It ' +
      'works only when something may go.',
  }),
  collectorBatch: setting({
    name: 'collector.batch',
    type: wholeNumber({ min: 1, max: 64 }),
    default: '16',
    description: 'How many things the collector looks at before requests have their turn again.',
  }),
  collectorShare: setting({
    name: 'collector.share',
    type: wholeNumber({ min: 1, max: 100 }),
    default: '1',
    description:
      'How much of its time the collector works while requests come, in percent; it has all of it while none do. It is ' +
      'twice as much with every ten minutes that the collector is late, up to a half, and all where the disk is short.',
  }),
  retentionDelay: setting({
    name: 'retention.delay',
    type: duration({ minMs: 1, maxMs: day, zeroMeans: 'at once' }),
    default: '10s',
    description:
      'How soon after a change of a repository its retention policy is looked at again. Changes that come one after the ' +
      'other share a look.',
  }),
  retentionNotice: setting({
    name: 'retention.notice',
    type: window,
    default: '3d',
    description:
      'How long before a tag goes by its policy there is an event that says so. wherry retention upcoming shows it too.',
  }),
  retentionClockStep: setting({
    name: 'retention.clockStep',
    type: duration({ minMs: 1000, maxMs: 365 * day }),
    default: '10m',
    description: 'By how much the clock may be set at once: where it is set by more, nothing is pruned for a while.',
  }),
  retentionClockPause: setting({
    name: 'retention.clockPause',
    type: duration({ minMs: 1000, maxMs: 365 * day }),
    default: '1d',
    description:
      'How long nothing is pruned after the clock was set by more than that, unless it is set back, or somebody says ' +
      'wherry retention resume.',
  }),
  storageHigh: setting({
    name: 'storage.high',
    type: storageBound('off'),
    default: '90%',
    description:
      'Over this, room is made down to storage.low. A percentage is of the file system that the data directory is on, by ' +
      'whomever it is filled; bytes are those of the registry itself, its blobs and its database. The trash is emptied ' +
      'before its time, oldest first, and the collector hurries. With off nothing goes before its time.',
  }),
  storageLow: setting({
    name: 'storage.low',
    type: storageBound('auto'),
    default: 'auto',
    description:
      'How far room is made once storage.high was passed, in the same unit. With auto it is nine tenths of storage.high.',
  }),
  storageReserve: setting({
    name: 'storage.reserve',
    type: storageBound('auto'),
    default: 'auto',
    description:
      'What has to stay free on the file system. Where less is, new uploads are refused with 507; pulls, deletes, ' +
      'mounts, manifests and uploads under way go on. With auto it is 1 % of the file system, 1 GiB at most.',
  }),
  eventsKeep: setting({
    name: 'events.keep',
    type: window,
    default: '90d',
    description:
      'How long it is remembered what was pushed, deleted, collected, restored, denied and the like, when, why and on ' +
      'whose word: [events.md](events.md) has all of it. What wherry explain says of things that are gone comes from there.',
  }),
  auditFile: setting({
    name: 'audit.file',
    type: fileOrNone,
    default: 'none',
    description:
      'The file to which every event is appended too, as a line of JSON. It is made where it is not there, and opened anew ' +
      'when it was moved away or the server gets SIGHUP. While it cannot be written, requests go on, and the file is ' +
      'caught up with later. [events.md](events.md) says what the lines hold.',
  }),
  logLevel: setting({
    name: 'log.level',
    type: choice(['debug', 'info', 'warn', 'error']),
    default: 'info',
    description: 'The least severe messages that are logged.',
  }),
  logFormat: setting({
    name: 'log.format',
    type: choice(['auto', 'pretty', 'json']),
    default: 'auto',
    description: 'How log lines look. With auto they are pretty on a terminal and JSON everywhere else.',
  }),
  logRequests: setting({
    name: 'log.requests',
    type: choice(['all', 'changes', 'errors']),
    default: 'changes',
    description:
      'Which requests are logged. With changes these are pushes, deletes and errors; all adds the pulls, errors leaves ' +
      'nothing but errors.',
  }),
};

export const shorthands: readonly Shorthand[] = [
  {
    name: 'manifests.sparse',
    type: permission,
    description: 'Sets manifests.sparse.images and manifests.sparse.indexes at once.',
    standsFor: ['manifests.sparse.images', 'manifests.sparse.indexes'],
  },
];

/** Flags without a value, for what is often wanted: `--anonymous` is `--auth-anonymous all`. */
export const bareFlags: readonly { readonly flag: string; readonly setting: string; readonly value: string }[] = [
  { flag: '--anonymous', setting: 'auth.anonymous', value: 'all' },
];

export const sections: readonly Section[] = [
  { name: '', title: 'Where', description: 'Where the registry keeps its data, and where it answers.' },
  {
    name: 'auth',
    title: 'Access',
    description: 'Who may log in, and what is open to everybody. [access.md](access.md) has the rest: who may do what.',
  },
  {
    name: 'tls',
    title: 'TLS',
    description: 'Certificates of the server and of clients; [tls.md](tls.md) says more.',
  },
  {
    name: 'windows',
    title: 'Windows',
    description: 'How long things stay that are unfinished, unused or deleted.',
  },
  { name: 'manifests', title: 'Manifests', description: 'Which manifests are accepted.' },
  { name: 'http', title: 'HTTP', description: 'How requests are answered.' },
  { name: 'limits', title: 'Limits', description: 'What one client, and all together, may take.' },
  { name: 'pulls', title: 'Pulls', description: 'What is remembered about pulls.' },
  { name: 'collector', title: 'Collector', description: 'How fast the space of what nothing holds is given back.' },
  {
    name: 'retention',
    title: 'Retention',
    description: 'When policies are looked at. retention.md says what they are.',
  },
  {
    name: 'storage',
    title: 'Storage',
    description: 'How much may be stored, and what happens where that is passed; [disk.md](disk.md) says more.',
  },
  { name: 'events', title: 'Events', description: 'What is remembered about what happened.' },
  { name: 'audit', title: 'Audit', description: 'Where else it is written what happened.' },
  { name: 'log', title: 'Log', description: 'What is logged, and how.' },
];

export const allSettings: readonly Setting<unknown>[] = Object.values(settings);

/** Everything that a source can set, in the order of the reference page: a shorthand stands before what it sets. */
export const settable: readonly (Setting<unknown> | Shorthand)[] = allSettings.flatMap((one) =>
  [shorthands.filter(({ standsFor }) => standsFor[0] === one.name), one].flat(),
);

/** The settings and shorthands of one section. */
export function settableIn(section: Section): readonly (Setting<unknown> | Shorthand)[] {
  return settable.filter(({ name }) => sectionNameOf(name) === section.name);
}

/** The names of the settings that a name sets: its own, or those that it is the shorthand of. */
export function namesSetBy(name: string): readonly string[] {
  return shorthands.find((shorthand) => shorthand.name === name)?.standsFor ?? [name];
}

function sectionNameOf(name: string): string {
  return name.includes('.') ? (name.split('.')[0] ?? '') : '';
}

/** Fixes T from the type, so that each setting keeps the type of its value. */
function setting<T>(one: Setting<T>): Setting<T> {
  return one;
}
