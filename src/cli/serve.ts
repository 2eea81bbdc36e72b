import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { ConfiguredRules } from '../audit/rules-in-force.ts';
import { loadConfig, type LoadResult } from '../config/load.ts';
import type { Config } from '../config/schema.ts';
import { createLog } from '../log/log.ts';
import type { Log } from '../log/log.ts';
import type { RunningServer } from '../server.ts';
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
  'policies' | 'quotas' | 'access' | 'groups'
>;

/** `wherry serve`: runs the registry until it is asked to end. */
export const defineServe: CommandDefinition = (command, end) => {
  const readFlags = addSettingFlags(command);
  command.action(async () => end(await serve(readFlags())));
};

async function serve(flags: ConfigFlags): Promise<number> {
  const loaded = await loadConfig({
    configFile: flags.configFile,
    flags: flags.values,
    env: process.env,
    readFile: (path) => readFile(path, 'utf8'),
  });
  if (!loaded.ok) {
    console.error(['wherry cannot start with this configuration:', ...loaded.problems].join('\n  '));
    return exitCodes.usage;
  }
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
    const problems = [policies, quotas, access, issuers, immutability].flatMap((result) =>
      result?.ok === false ? result.problems : [],
    );
    console.error(['wherry cannot start with this configuration:', ...problems].join('\n  '));
    return exitCodes.usage;
  }
  const { config } = loaded;
  const log = await createLog({ level: config.log.level, format: config.log.format });
  const stop = stopRequested();
  // The registry is not loaded for somebody who only asks for the flags, or whose configuration is wrong.
  const { startServer } = await import('../server.ts');
  let server: RunningServer;
  try {
    server = await startServer({
      config,
      log,
      policies: policies?.set,
      quotas: quotas?.set,
      access: access?.rules,
      issuers: issuers?.set,
      immutability: immutability?.set,
      configuredRules: rulesOf(loaded),
    });
  } catch (error) {
    if (!(error instanceof StartupError)) throw error;
    console.error(`wherry cannot start: ${error.message}`);
    return exitCodes.failure;
  }
  // Without TLS it ends the process, as ever.
  if (config.tls.certificate !== undefined) process.on('SIGHUP', () => void server.reloadCertificate());
  announce(server.url, config, log);
  if (config.audit.file !== undefined) process.on('SIGHUP', () => server.reopenFiles());
  const signal = await stop;
  log.info({ signal, drainMs: config.http.drainMs }, 'stopping: running transfers may finish');
  await server.stop();
  log.info({}, 'stopped');
  return exitCodes.success;
}

/** What stands under those keys of the configuration that are no settings. */
function rulesOf({ policies, quotas, access, groups }: ConfiguredDocuments): readonly ConfiguredRules[] {
  return [
    { name: 'policies', value: policies?.value },
    { name: 'quotas', value: quotas?.value },
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
