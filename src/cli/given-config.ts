import { readFile } from 'node:fs/promises';
import { type Command, Option } from 'commander';
import { configFileVariable, variableOf } from '../config/environment.ts';
import { loadConfig } from '../config/load.ts';
import type { Config } from '../config/schema.ts';
import type { ConfigFlags as SettingFlags } from './setting-flags.ts';

export interface ConfigFlags {
  readonly data?: string;
  readonly config?: string;
}

/** Adds the flags by which a command that opens a registry by itself is told which. */
export function takesConfig(command: Command): Command {
  return command
    .addOption(new Option('--data <directory>', `the registry's data directory (also ${variableOf('data')})`))
    .addOption(new Option('--config <file>', `the registry's configuration (also ${configFileVariable})`));
}

/** The configuration that a command was given; undefined where it makes no sense, which has been said then. */
export async function givenConfig({ data, config }: ConfigFlags): Promise<Config | undefined> {
  return await configBy({ configFile: config, values: new Map(data === undefined ? [] : [['data', data]]) });
}

/** The same for a command that takes flags for settings. */
export async function configBy({ configFile, values }: SettingFlags): Promise<Config | undefined> {
  const loaded = await loadConfig({
    configFile,
    flags: values,
    env: process.env,
    readFile: (path) => readFile(path, 'utf8'),
  });
  if (loaded.ok) return loaded.config;
  console.error(['this configuration makes no sense:', ...loaded.problems].join('\n  '));
  return undefined;
}
