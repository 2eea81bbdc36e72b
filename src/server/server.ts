import type { IssuerSet } from '../credentials/issuers/issuer-set.ts';
import type { AccessSource } from '../access/access-watch.ts';
import type { AccessRules } from '../access/rule.ts';
import { AdminAccess } from './admin-access.ts';
import { type ConfiguredAccess, rememberRules, watchAccess } from './access-adoption.ts';
import { AccessDenials } from '../audit/access-denials.ts';
import { PurgeRefusals } from '../audit/purge-refusals.ts';
import { EventFeed } from '../audit/event-feed.ts';
import type { ConfiguredRules } from '../audit/rules-in-force.ts';
import { Collector } from '../collector/collector.ts';
import { Pace } from '../collector/pace.ts';
import { beginCollecting, collectAgain, controlOf, expectCollector, mayCollect, pauseOutdated } from './collecting.ts';
import type { DiskSpace } from '../bounds/levels.ts';
import { type OnProgress, Reports, storageReport } from '../bounds/report.ts';
import { pruneNothing, type PruneLeastRecentlyUsed } from '../bounds/pruner.ts';
import { Storage } from '../bounds/storage.ts';
import { UploadRoom } from '../bounds/upload-room.ts';
import type { Config } from '../config/schema.ts';
import { diskSpace } from './disk-space.ts';
import { listen } from './listening.ts';
import { accessControlOf, type Logins, openLogins } from './logins.ts';
import { immutableKey } from '../immutability/in-force.ts';
import type { ImmutabilitySet } from '../immutability/immutability-set.ts';
import type { Log } from '../log/log.ts';
import type { MetadataStore } from '../metadata/store.ts';
import { measuredFigures } from './measured-figures.ts';
import { Metrics } from '../metrics/metrics.ts';
import { AcceptanceWatch } from './acceptance-watch.ts';
import { openAuditFile } from './audit-file.ts';
import { openCertificate, watchCertificate } from './certificates.ts';
import { exposedAddresses, plainAddress } from './exposure.ts';
import { putQuotasInForce } from './quotas-in-force.ts';
import { openPruner, openRetention, settleWithoutPolicies } from './retention.ts';
import { policiesText } from '../pruning/settle-approvals.ts';
import { placesOf } from '../stores/checked-places.ts';
import { openBytes } from '../fsck/places.ts';
import { OnlineChecks } from './online-checks.ts';
import { LayerProcesses } from './layer-processes.ts';
import { OnlineRepairs } from './online-repairs.ts';
import type { Pruner } from '../pruning/pruner.ts';
import { QuotaCounter } from '../quotas/counter.ts';
import { StoredQuotas } from '../quotas/in-force.ts';
import type { QuotaSet } from '../quotas/quota-set.ts';
import { quotaFigures } from '../quotas/usage.ts';
import { type Clock, systemClock } from '../registry/clock.ts';
import { LoginRefusals } from '../registry/login-refusals.ts';
import type { PullRules } from '../registry/puller.ts';
import type { Registry } from '../registry/registry.ts';
import type { PolicySet } from '../retention/policy-set.ts';
import { readOnlyLog } from './read-only-log.ts';
import { ReadOnlyWatch } from './read-only-watch.ts';
import { followUsers, openTokens } from './tokens.ts';
import { version } from '../version.ts';
import { isKeeper, type WorkerPlace } from '../workers/worker-place.ts';
import { openStores, type Stores } from '../stores/stores.ts';
import { registryOf } from './registry-of.ts';
import type { Syncs } from '../stores/syncs.ts';

export interface RunningServer {
  /** Where it listens. */
  readonly url: string;
  readonly collector: Collector;
  /** Undefined where there are no policies. */
  readonly pruner: Pruner | undefined;
  readonly quotas: QuotaCounter;
  readonly storage: Storage;
  /** Reads the files of the certificate again, where it speaks TLS; it does so by itself when they change. */
  reloadCertificate(): Promise<void>;
  /** Reads the access rules again, where they stand in a file; it does so by itself when that changes. */
  reloadAccess(): Promise<void>;
  /** Opens files anew that were moved away by whoever rotates them. */
  reopenFiles(): void;
  /** Drains, writes what is still in memory, and closes the stores. */
  stop(): Promise<void>;
}

export interface ServerParts {
  readonly config: Config;
  readonly log: Log;
  /** What retention does; undefined where it does nothing. */
  readonly policies?: PolicySet | undefined;
  /** What is limited; undefined where nothing is. */
  readonly quotas?: QuotaSet | undefined;
  /** What can be neither overwritten nor deleted; undefined where everything can. */
  readonly immutability?: ImmutabilitySet | undefined;
  /** Who may do what; undefined where nobody has said. */
  readonly access?: AccessRules | undefined;
  /** Where that is read again when it changes; undefined where it stands in no file. */
  readonly accessSource?: AccessSource<ConfiguredAccess> | undefined;
  /** Whose tokens are believed; undefined where nobody's are but the registry's own. */
  readonly issuers?: IssuerSet | undefined;
  /** All rules as they stand in the configuration, so that it is told where they are others than at the last start. */
  readonly configuredRules?: readonly ConfiguredRules[];
  readonly clock?: Clock;
  /** How things become durable, where it is not by the system's calls. */
  readonly syncs?: Syncs;
  /** Where this is one of several processes that serve the registry on this machine. */
  readonly worker?: WorkerPlace | undefined;
  /** Puts something between the registry and its metadata, such as what counts statements. */
  readonly wrapMetadata?: (metadata: MetadataStore) => MetadataStore;
  /** Puts something between the registry and its rules of which pulls count, such as what lets none count. */
  readonly wrapPullRules?: (rules: PullRules) => PullRules;
  /** Measures the file system of the data directory. */
  readonly measureDisk?: (directory: string) => Promise<DiskSpace>;
  /** Removes tags to make room; what policies allow where it is left out. */
  readonly prune?: PruneLeastRecentlyUsed | undefined;
}

/**
 * Puts a registry together from its parts and serves it.
 * @throws StartupError where the operator has to mend something first
 */
export async function startServer(parts: ServerParts): Promise<RunningServer> {
  const { config, access, issuers, clock, syncs, worker } = parts;
  const { wrapMetadata = (metadata) => metadata } = parts;
  const log = readOnlyLog(worker === undefined ? parts.log : parts.log.child({ worker: worker.index }));
  const addresses = await exposedAddresses(config);
  const [exposed] = addresses;
  const loginParts = { config, log, clock: clock ?? systemClock, rules: access, issuers, exposed };
  const logins = await openLogins({ ...loginParts, siblings: worker?.link });
  const plain = plainAddress(config, addresses);
  if (plain !== undefined && isKeeper(worker) && !logins.isOpen && config.http.trustedProxies.length === 0) {
    log.warn(
      { address: `${plain.host}:${plain.port}` },
      'passwords and tokens come here unencrypted: set tls.certificate and tls.key, or have a proxy end TLS and name it in http.trustedProxies',
    );
  }
  expectCollector(config);
  const stores = await openStores(config, log, { clock, syncs, worker });
  try {
    return await serve({ ...stores, metadata: wrapMetadata(stores.metadata) }, logins, { ...parts, log });
  } catch (error) {
    await stores.close();
    throw error;
  }
}

async function serve(
  stores: Stores,
  logins: Logins,
  {
    config,
    log,
    worker,
    policies,
    quotas,
    immutability,
    configuredRules = [],
    access: startRules,
    accessSource,
    issuers,
    syncs,
    wrapPullRules = (rules) => rules,
    measureDisk = diskSpace,
    prune,
  }: ServerParts,
): Promise<RunningServer> {
  const { directory, generation, metadata, clock, reserve } = stores;
  const opened = await openCertificate(config);
  const keeps = isKeeper(worker);
  const metrics = new Metrics(
    () => measuredFigures({ registry, storage, reports, generation, collector, pruner }),
    worker?.link,
  );
  if (metadata.meetings !== undefined) metrics.watchMeetings(() => metadata.meetings ?? {});
  const events = new EventFeed(metadata);
  const auditFile = await openAuditFile({ path: keeps ? config.audit.file : undefined, metadata, feed: events, log });
  const haveQuotasChanged = await putQuotasInForce(metadata, quotas, log);
  const quotasInForce = await StoredQuotas.open(metadata, log);
  const settings = immutability?.settings;
  const rules: readonly ConfiguredRules[] = [
    ...configuredRules,
    { name: 'auth', value: config.auth },
    { name: immutableKey, value: settings, ...(settings !== undefined && { settings }) },
  ];
  await rememberRules(metadata, rules, { now: clock.now() }, log);
  const retention = await openRetention(policies, config);
  const room = new UploadRoom({
    reserve: config.storage.reserve,
    measure: async () => (config.blobs.kind === 'directory' ? await measureDisk(directory) : undefined),
    isBeingMade: () => storage.maker.isMakingRoom,
    onCome: (bytes) => storage.came(bytes),
  });
  const made = registryOf({
    stores,
    config,
    clock,
    log,
    traffic: metrics,
    siblings: worker?.link,
    about: { version, isCollecting: keeps && config.collector.isRun, policies: policiesText(policies) },
    policies,
    quotas: quotasInForce,
    immutability,
    retention: retention?.scope,
    room,
  });
  const registry: Registry = { ...made, pullRules: wrapPullRules(made.pullRules) };
  const readOnlyWatch = new ReadOnlyWatch(registry, keeps);
  const quotaCounter = new QuotaCounter({ metadata, log });
  const pace = new Pace({
    ...config.collector,
    quietMs: () => server.quietMs(),
    isHurried: () => storage.maker.isHurried,
  });
  const collector = new Collector({ registry, pace, counts: metrics, log, keepEventsMs: config.events.keepMs });
  const storage = new Storage({
    registry,
    bounds: config.storage,
    room,
    makesRoom: keeps,
    measureDisk: () => measureDisk(directory),
    mayCollect: () => mayCollect({ registry, generation }),
    wakeCollector: () => collector.wake(),
    prune:
      prune ?? ((neededBytes, limits) => pruner?.makeRoom(neededBytes, limits) ?? pruneNothing(neededBytes, limits)),
  });
  const reports = new Reports(registry, storage);
  const pruner = await openPruner(retention, {
    registry,
    settings: config.retention,
    isHeld: async () => collector.isPaused || readOnlyWatch.isOn || !(await mayCollect({ registry, generation })),
    pace,
    counts: metrics,
  });
  const notice = (): void => {
    collector.notice();
    pruner?.notice();
    events.notice();
  };
  metadata.watch(notice);
  metadata.onAnnouncement((topic) => {
    if (topic === 'commit') notice();
  });
  const adminAccess = new AdminAccess({
    directory,
    log,
    isShared: config.metadata.kind === 'postgres',
    token: worker?.operatorToken,
  });
  const refusals = new LoginRefusals({ metadata, clock, log });
  const { passwords } = logins;
  const tokens = openTokens({ config, metadata, clock, log, policy: () => access.policy, passwords, issuers });
  await followUsers(tokens, passwords, log);
  const denials = new AccessDenials({ metadata, clock, log });
  const purgeRefusals = new PurgeRefusals({ metadata, clock, log });
  const access = accessControlOf(logins, {
    // Where everything is open, there is nothing to log in for.
    authenticators: logins.isOpen ? [] : tokens.authenticators,
    challenger: tokens.challenger,
    operatorToken: adminAccess.token,
    secret: worker === undefined ? undefined : Buffer.from(worker.secret),
    onRefused: (refused) => refusals.record(refused),
  });
  const collecting = { registry, collector, generation, directory, isRun: config.collector.isRun };
  const places = placesOf(config);
  const repairs = new OnlineRepairs({
    registry,
    generation,
    quotas: quotaCounter,
    keepAdoptedMs: config.windows.adoptedMs,
    openBytes: () => openBytes(places),
    onSettled: async () => void (await collectAgain(collecting)),
  });
  const checks = new OnlineChecks({ places, clock, make: (repair) => repairs.make(repair) });
  const layers = new LayerProcesses(places);
  const admin = {
    collector: controlOf(collecting),
    checks,
    layers,
    events,
    pruner,
    policies: () => Promise.resolve(policies === undefined ? undefined : ({ ok: true, set: policies } as const)),
    storage: (onProgress: OnProgress) => storageReport(registry, storage, onProgress),
  };
  await readOnlyWatch.look();
  // Before anything is served: what is being purged must not be.
  await registry.purges.join();
  await registry.purges.resume();
  const settles = keeps && policies === undefined ? await settleWithoutPolicies(registry) : undefined;
  const server = await listen(config, {
    registry,
    metrics,
    log,
    admin,
    access,
    onDenied: denials.record.bind(denials),
    onKeptOut: purgeRefusals.record.bind(purgeRefusals),
    tokens: access.isOpen ? undefined : tokens.service,
    answer: syncs?.answer,
    certificate: opened?.certificate,
    checkedHosts: logins.checkedHosts,
    worker,
  });
  const accessWatch = watchAccess(accessSource, {
    config,
    access,
    logins,
    issuers,
    metadata,
    clock,
    log,
    rules,
    startRules,
  });
  const certificateWatch = watchCertificate(opened, metrics, {
    log,
    exchange: server.exchangeCertificate.bind(server),
  });
  if (keeps) {
    adminAccess.tell(server.adminOrigin);
    worker?.link.keeping(server.adminOrigin);
  }
  registry.pulls.start(config.pulls.flushMs);
  readOnlyWatch.start();
  storage.start();
  const acceptanceWatch = new AcceptanceWatch({
    generation,
    log,
    onOutdated: () => pauseOutdated(collecting),
    onAccepted: async () => await collectAgain(collecting),
  });
  if (keeps) {
    reserve?.start();
    await beginCollecting(collecting);
    if (metadata.isShared) acceptanceWatch.start();
    pruner?.start();
  }
  // Nobody else may know yet of what comes into force now, so whoever has put it there counts.
  if (haveQuotasChanged) quotaCounter.start();
  quotasInForce.watch((set) => {
    if (set.quotas.length > 0) metrics.watchQuotas(() => quotaFigures(metadata));
    // Whoever has put others in force may be gone before they are counted.
    if (keeps) quotaCounter.start();
  });
  auditFile?.start();
  worker?.link.serving(server.url.origin, server.ports);

  return {
    url: server.url.origin,
    collector,
    pruner,
    quotas: quotaCounter,
    storage,
    async reloadCertificate() {
      await certificateWatch?.reload();
    },
    async reloadAccess() {
      await accessWatch?.reload();
    },
    reopenFiles: () => auditFile?.reopen(),
    async stop() {
      events.stop();
      settles?.[Symbol.dispose]();
      await Promise.all([certificateWatch?.stop(), accessWatch?.stop(), readOnlyWatch.stop(), acceptanceWatch.stop()]);
      const looked = Promise.all([checks.stop(), layers.stop()]);
      const collected = Promise.all([collector.stop(), pruner?.stop(), quotaCounter.stop()]);
      if (keeps) adminAccess.withdraw();
      await server.stop(config.http.drainMs);
      await Promise.all([looked, collected, storage.stop(), reports.stop()]);
      await registry.pulls.stop();
      await registry.purges.stop();
      await Promise.all([registry.reclaimer.idle(), refusals.idle(), denials.stop(), purgeRefusals.stop()]);
      await auditFile?.stop();
      await stores.close();
    },
  };
}
