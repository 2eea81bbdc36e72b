import { readFile } from 'node:fs/promises';
import { type Command, Option } from 'commander';
import type { AccessRules } from '../access/rule.ts';
import { noRules } from '../access/parse.ts';
import { configFileVariable } from '../config/environment.ts';
import { loadConfig } from '../config/load.ts';
import type { PoliciesDocument } from '../config/policies-document.ts';
import type { Config } from '../config/schema.ts';
import type { IssuerSet } from '../credentials/issuers/issuer-set.ts';
import { configuredAccess } from './configured-access.ts';
import { configuredIssuers } from './configured-issuers.ts';

/** What a configuration says of who may do what. */
export interface AuthConfig {
  readonly config: Config;
  readonly rules: AccessRules;
  /** Who is believed who somebody is; undefined where nobody is. */
  readonly issuers: IssuerSet | undefined;
  /** Whether there is the key `access`. */
  readonly hasRules: boolean;
  readonly access: PoliciesDocument | undefined;
  readonly groups: PoliciesDocument | undefined;
}

export type AuthConfigResult =
  { readonly ok: true; readonly auth: AuthConfig } | { readonly ok: false; readonly problems: readonly string[] };

export function addConfigFlag(command: Command): Command {
  return command.addOption(new Option('--config <file>', `the registry's configuration (also ${configFileVariable})`));
}

/** Reads a configuration as the server does, environment included. */
export async function readAuthConfig(configFile: string | undefined): Promise<AuthConfigResult> {
  const loaded = await loadConfig({
    configFile,
    flags: new Map(),
    env: process.env,
    readFile: (path) => readFile(path, 'utf8'),
  });
  if (!loaded.ok) return loaded;
  const { config, access, groups } = loaded;
  const parsed = await configuredAccess(access, groups);
  const issuers = await configuredIssuers(loaded.issuers);
  if (parsed?.ok === false || issuers?.ok === false) {
    return {
      ok: false,
      problems: [parsed, issuers].flatMap((result) => (result?.ok === false ? result.problems : [])),
    };
  }
  const rules = parsed?.rules ?? noRules;
  return { ok: true, auth: { config, rules, issuers: issuers?.set, hasRules: parsed !== undefined, access, groups } };
}
