import { readFile } from 'node:fs/promises';
import { type Command, Option } from 'commander';
import { configFileVariable, variableOf } from '../config/environment.ts';
import { loadConfig } from '../config/load.ts';
import { printableJson, printableLines } from '../oci/quote.ts';
import { StartupError } from '../startup-error.ts';
import { type AdminClient, openAdmin, RefusedError } from './admin-client.ts';
import { exitCodes } from './exit-codes.ts';
import type { Printed } from './printed.ts';
import { ProgressLine } from './progress-line.ts';

/** What a command of an operator has been given, beside the registry's admin API. */
export interface Given {
  readonly args: readonly string[];
  readonly flags: Readonly<Record<string, unknown>>;
  /** Shows how far it has come. */
  readonly progress: ProgressLine;
}

type Run = (admin: AdminClient, given: Given) => Promise<Printed>;

/**
 * Adds the flags that every command of an operator has; the action gets the registry's admin API.
 * @param failure what the process ends with where it could not do what it was asked to
 */
export function adminCommand(
  command: Command,
  end: (exitCode: number) => void,
  run: Run,
  failure: number = exitCodes.failure,
): void {
  command
    .addOption(new Option('--data <directory>', `the registry's data directory (also ${variableOf('data')})`))
    .addOption(new Option('--config <file>', `the registry's configuration (also ${configFileVariable})`))
    .addOption(new Option('--json', 'print JSON'))
    .action(async () => {
      end(await execute(run, { args: command.args, flags: command.opts(), progress: new ProgressLine() }, failure));
    });
}

async function execute(run: Run, given: Given, failure: number): Promise<number> {
  const { data, config: configFile, json: isJson } = given.flags;
  const loaded = await loadConfig({
    configFile: typeof configFile === 'string' ? configFile : undefined,
    flags: new Map(typeof data === 'string' ? [['data', data]] : []),
    env: process.env,
    readFile: (path) => readFile(path, 'utf8'),
  });
  if (!loaded.ok) {
    console.error(['this configuration makes no sense:', ...loaded.problems].join('\n  '));
    return exitCodes.usage;
  }
  try {
    const admin = await openAdmin(loaded.config, loaded.policies);
    try {
      const printed = await run(admin, given);
      given.progress.clear();
      // Names that clients choose are printed, and what others have given as reasons.
      if (isJson === true) for await (const piece of printed.json()) process.stdout.write(printableJson(piece));
      else for await (const piece of printed.text()) process.stdout.write(printableLines(piece));
      return printed.exitCode ?? exitCodes.success;
    } finally {
      given.progress.clear();
      await admin.close();
    }
  } catch (error) {
    if (!(error instanceof RefusedError || error instanceof StartupError)) throw error;
    console.error(printableLines(`wherry: ${error.message}`));
    return failure;
  }
}
