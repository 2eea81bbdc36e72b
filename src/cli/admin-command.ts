import { readFile } from 'node:fs/promises';
import { type Command, Option } from 'commander';
import { configFileVariable, variableOf } from '../config/environment.ts';
import { loadConfig } from '../config/load.ts';
import type { PoliciesDocument } from '../config/policies-document.ts';
import type { Config } from '../config/schema.ts';
import { printableJson, printableLines } from '../oci/quote.ts';
import { StartupError } from '../startup-error.ts';
import { type AdminClient, openAdmin, RefusedError } from './admin-client.ts';
import { exitCodes } from './exit-codes.ts';
import type { Printed } from './printed.ts';
import { ProgressLine } from './progress-line.ts';
import { addSettingFlags, type ConfigFlags, saysWhere } from './setting-flags.ts';

/** What a command of an operator has been given, beside the registry's admin API. */
export interface Given {
  readonly args: readonly string[];
  readonly flags: Readonly<Record<string, unknown>>;
  /** Shows how far it has come. */
  readonly progress: ProgressLine;
}

/** What a command asks: the registry's admin API, or a part of it. */
interface Client {
  close(): Promise<void>;
}

type Run<Asked extends Client> = (client: Asked, given: Given) => Promise<Printed>;

interface Terms<Asked extends Client> {
  readonly open: (config: Config, policies: PoliciesDocument | undefined) => Promise<Asked>;
  readonly run: Run<Asked>;
  /** What the command line says of the configuration. */
  readonly readFlags: () => ConfigFlags;
  /** What the process ends with where it could not do what it was asked to. */
  readonly failure: number;
}

/**
 * Adds the flags that every command of an operator has; the action gets the registry's admin API.
 * @param failure what the process ends with where it could not do what it was asked to
 */
export function adminCommand(
  command: Command,
  end: (exitCode: number) => void,
  run: Run<AdminClient>,
  failure: number = exitCodes.failure,
): void {
  command
    .addOption(new Option('--data <directory>', `the registry's data directory (also ${variableOf('data')})`))
    .addOption(new Option('--config <file>', `the registry's configuration (also ${configFileVariable})`));
  const readFlags = (): ConfigFlags => {
    const { data, config }: Readonly<Record<string, unknown>> = command.opts();
    return {
      configFile: typeof config === 'string' ? config : undefined,
      values: new Map(typeof data === 'string' ? [['data', data]] : []),
    };
  };
  commandOf(command, end, { open: openAdmin, run, readFlags, failure });
}

/** The same for a command that takes flags for all settings that say where the registry is. */
export function placedCommand<Asked extends Client>(
  command: Command,
  end: (exitCode: number) => void,
  { open, run }: Pick<Terms<Asked>, 'open' | 'run'>,
): void {
  const readFlags = addSettingFlags(command, saysWhere);
  commandOf(command, end, { open, run, readFlags, failure: exitCodes.failure });
}

function commandOf<Asked extends Client>(command: Command, end: (exitCode: number) => void, terms: Terms<Asked>): void {
  command.addOption(new Option('--json', 'print JSON')).action(async () => {
    end(await execute(terms, { args: command.args, flags: command.opts(), progress: new ProgressLine() }));
  });
}

async function execute<Asked extends Client>(
  { open, run, readFlags, failure }: Terms<Asked>,
  given: Given,
): Promise<number> {
  const { configFile, values } = readFlags();
  const loaded = await loadConfig({
    configFile,
    flags: values,
    env: process.env,
    readFile: (path) => readFile(path, 'utf8'),
  });
  if (!loaded.ok) {
    console.error(['this configuration makes no sense:', ...loaded.problems].join('\n  '));
    return exitCodes.usage;
  }
  try {
    const client = await open(loaded.config, loaded.policies);
    try {
      const printed = await run(client, given);
      given.progress.clear();
      // Names that clients choose are printed, and what others have given as reasons.
      if (given.flags['json'] === true)
        for await (const piece of printed.json()) process.stdout.write(printableJson(piece));
      else for await (const piece of printed.text()) process.stdout.write(printableLines(piece));
      return printed.exitCode ?? exitCodes.success;
    } finally {
      given.progress.clear();
      await client.close();
    }
  } catch (error) {
    if (!(error instanceof RefusedError || error instanceof StartupError)) throw error;
    console.error(printableLines(`wherry: ${error.message}`));
    return failure;
  }
}
