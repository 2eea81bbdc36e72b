import { readFile, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { ConfiguredAccess } from '../server/access-adoption.ts';
import type { AccessSource } from '../access/access-watch.ts';
import type { AccessRules } from '../access/rule.ts';
import type { ConfiguredRules } from '../audit/rules-in-force.ts';
import { configFileVariable } from '../config/environment.ts';
import { loadConfig, type LoadResult } from '../config/load.ts';
import type { Config } from '../config/schema.ts';
import type { IssuerSet } from '../credentials/issuers/issuer-set.ts';
import type { ImmutabilitySet } from '../immutability/immutability-set.ts';
import { endsWithin } from '../ends-within.ts';
import { createLog } from '../log/log.ts';
import type { Log } from '../log/log.ts';
import type { QuotaSet } from '../quotas/quota-set.ts';
import type { PolicySet } from '../retention/policy-set.ts';
import type { RunningServer } from '../server/server.ts';
import type { WorkerPlace } from '../workers/worker-place.ts';
import { type ParentChannel, parentChannel, WorkerLink } from '../workers/worker-link.ts';
import type { SuperviseParts } from './supervise.ts';
import { StartupError } from '../startup-error.ts';
import { announcementOf, announcementText } from './announcement.ts';
import { configuredAccess } from './configured-access.ts';
import { configuredIssuers } from './configured-issuers.ts';
import { configuredImmutability } from './configured-immutability.ts';
import { configuredPolicies } from './configured-policies.ts';
import { configuredQuotas } from './configured-quotas.ts';
import { exitCodes } from './exit-codes.ts';
import type { CommandDefinition } from './command-definition.ts';
import { addSettingFlags } from './setting-flags.ts';
import type { ConfigFlags } from './setting-flags.ts';
import { stopRequested } from './stop-signals.ts';

type ConfiguredDocuments = Pick<
  Extract<LoadResult, { readonly ok: true }>,
  'policies' | 'quotas' | 'access' | 'groups' | 'issuers'
>;

/**
 * How much longer than `http.drain` it takes to end, at most, in ms. What is acknowledged is durable by then; the rest is as if
 * the process had been killed.
 */
const endGraceMs = 5_000;

/** `wherry serve`: runs the registry until it is asked to end. */
export const defineServe: CommandDefinition = (command, end) => {
  const readFlags = addSettingFlags(command);
  command.action(async () => end(await serve(readFlags())));
};

/** `wherry worker`: one of several processes that `wherry serve` has started. */
export const defineWorker: CommandDefinition = (command, end) => {
  const readFlags = addSettingFlags(command);
  command.action(async () => {
    const parent = parentChannel();
    if (parent !== undefined) return end(await serve(readFlags(), parent));
    console.error('wherry worker is started by wherry serve --workers, and by nobody else');
    end(exitCodes.usage);
  });
};

/** @param parent where this is a worker, the way to whoever has started it */
async function serve(flags: ConfigFlags, parent?: ParentChannel): Promise<number> {
  const read = await readConfigured(flags);
  if (!read.ok) {
    console.error(['wherry cannot start with this configuration:', ...read.problems].join('\n  '));
    return exitCodes.usage;
  }
  const { loaded, policies, quotas, access, issuers, immutability } = read;
  const { config } = loaded;
  const log = await createLog({ level: config.log.level, format: config.log.format });
  // Whoever supervises it says when; what a terminal sends to all of them does not come twice.
  const stop = stopRequested(parent === undefined ? undefined : Infinity);
  if (parent === undefined && config.workers > 1) return await beginSupervising({ config, flags, log, stop });
  const worker = parent === undefined ? undefined : await placeOf(config, parent, log);
  // The registry is not loaded for somebody who only asks for the flags, or whose configuration is wrong.
  const { startServer } = await import('../server/server.ts');
  let server: RunningServer | undefined;
  try {
    const starting = startServer({
      config,
      log,
      policies,
      quotas,
      access,
      accessSource: accessSourceOf(flags),
      issuers,
      immutability,
      configuredRules: rulesOf(loaded),
      worker,
    });
    // A store that does not answer does not keep it from ending.
    server = await Promise.race([starting, stop.then(() => undefined)]);
  } catch (error) {
    if (!(error instanceof StartupError)) throw error;
    console.error(`wherry cannot start: ${error.message}`);
    return exitCodes.failure;
  }
  if (server === undefined) return exitCodes.success;
  const running = server;
  // Where nothing is read again it ends the process, as ever.
  if (config.tls.certificate !== undefined) process.on('SIGHUP', () => void running.reloadCertificate());
  if (configFileOf(flags) !== undefined) process.on('SIGHUP', () => void running.reloadAccess());
  if (worker === undefined) announce(server.url, config, log);
  if (config.audit.file !== undefined) process.on('SIGHUP', () => running.reopenFiles());
  const signal = await stop;
  const tell = worker === undefined ? log.info.bind(log) : log.debug.bind(log);
  tell({ signal, drainMs: config.http.drainMs }, 'stopping: running transfers may finish');
  if (await endsWithin(config.http.drainMs + endGraceMs, server.stop())) tell({}, 'stopped');
  else log.warn({ signal }, 'a store does not answer: what was under way there is left to the next start');
  return exitCodes.success;
}

async function beginSupervising(parts: Omit<SuperviseParts, 'announce' | 'isReadAgain'>): Promise<number> {
  const { config, flags, log } = parts;
  const isReadAgain =
    config.tls.certificate !== undefined || configFileOf(flags) !== undefined || config.audit.file !== undefined;
  const { supervise } = await import('./supervise.ts');
  try {
    return await supervise({ ...parts, isReadAgain, announce: (url) => announce(url, config, log) });
  } catch (error) {
    if (!(error instanceof StartupError)) throw error;
    console.error(`wherry cannot start: ${error.message}`);
    return exitCodes.failure;
  }
}

/** Takes its part of the data directory, and learns from its supervisor where it belongs. */
async function placeOf(config: Config, parent: ParentChannel, log: Log): Promise<WorkerPlace> {
  const { joinDataDirectory } = await import('../stores/data-directory.ts');
  const lock = config.metadata.kind === 'sqlite' ? joinDataDirectory(config.data) : undefined;
  const link = new WorkerLink(parent, { end: () => process.exit(exitCodes.failure), lock, log });
  return { ...(await link.place()), link };
}

/** A configuration with all that stands in it. */
type Configured =
  | {
      readonly ok: true;
      readonly loaded: Extract<LoadResult, { readonly ok: true }>;
      readonly policies: PolicySet | undefined;
      readonly quotas: QuotaSet | undefined;
      readonly access: AccessRules | undefined;
      readonly issuers: IssuerSet | undefined;
      readonly immutability: ImmutabilitySet | undefined;
    }
  | { readonly ok: false; readonly problems: readonly string[] };

async function readConfigured(flags: ConfigFlags): Promise<Configured> {
  const loaded = await loadConfig({
    configFile: flags.configFile,
    flags: flags.values,
    env: process.env,
    readFile: (path) => readFile(path, 'utf8'),
  });
  if (!loaded.ok) return loaded;
  const policies = await configuredPolicies(loaded.policies);
  const quotas = await configuredQuotas(loaded.quotas);
  const access = await configuredAccess(loaded.access, loaded.groups);
  const issuers = await configuredIssuers(loaded.issuers);
  const immutability = await configuredImmutability(loaded.immutable);
  if (
    policies?.ok === false ||
    quotas?.ok === false ||
    access?.ok === false ||
    issuers?.ok === false ||
    immutability?.ok === false
  ) {
    const results = [policies, quotas, access, issuers, immutability];
    return { ok: false, problems: results.flatMap((result) => (result?.ok === false ? result.problems : [])) };
  }
  return {
    ok: true,
    loaded,
    policies: policies?.set,
    quotas: quotas?.set,
    access: access?.rules,
    issuers: issuers?.set,
    immutability: immutability?.set,
  };
}

function configFileOf({ configFile }: ConfigFlags): string | undefined {
  const path = configFile ?? process.env[configFileVariable];
  return path === '' ? undefined : path;
}

/** Where the access rules are read again; undefined where there is no file that could change. */
function accessSourceOf(flags: ConfigFlags): AccessSource<ConfiguredAccess> | undefined {
  const path = configFileOf(flags);
  if (path === undefined) return undefined;
  return {
    async version() {
      const { ino, size, mtimeMs, ctimeMs } = await stat(path);
      return [ino, size, mtimeMs, ctimeMs].join(' ');
    },
    async read() {
      const read = await readConfigured(flags);
      if (!read.ok) return read;
      return { ok: true, rules: { rules: read.access, configured: accessRulesOf(read.loaded) } };
    },
  };
}

/** What stands under those keys of the configuration that are no settings. */
function rulesOf({ policies, quotas, issuers, ...access }: ConfiguredDocuments): readonly ConfiguredRules[] {
  return [
    { name: 'policies', value: policies?.value },
    { name: 'quotas', value: quotas?.value },
    ...accessRulesOf(access),
    { name: 'issuers', value: issuers?.value },
  ];
}

/** Those of them that say who may do what, which are read again while the server runs. */
function accessRulesOf({ access, groups }: Pick<ConfiguredDocuments, 'access' | 'groups'>): readonly ConfiguredRules[] {
  return [
    { name: 'access', value: access?.value },
    { name: 'groups', value: groups?.value },
  ];
}

/** Words for a person at a terminal; for everybody else a line in the log that holds the same. */
function announce(url: string, config: Config, log: Log): void {
  const announcement = announcementOf(url, resolve(config.data));
  if (process.stdout.isTTY && config.log.format !== 'json') {
    console.log(announcementText(announcement));
  } else {
    log.info({ ...announcement }, `serving ${announcement.url}`);
  }
}
