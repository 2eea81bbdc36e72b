import { readFile } from 'node:fs/promises';
import { type Command, Option } from 'commander';
import { configFileVariable, variableOf } from '../config/environment.ts';
import { loadConfig } from '../config/load.ts';
import { StartupError } from '../startup-error.ts';
import { type AdminClient, openAdmin, RefusedError } from './admin-client.ts';
import { exitCodes } from './exit-codes.ts';

/** What a command prints: the API's answer for programs, or lines for a person. */
export interface Printed {
  readonly json: unknown;
  readonly text: string;
  /** Where it could not do all that it was asked to. */
  readonly exitCode?: number;
}

type Flags = Readonly<Record<string, unknown>>;

/** Adds the flags that every command of an operator has; the action gets the registry's admin API. */
export function adminCommand(
  command: Command,
  end: (exitCode: number) => void,
  run: (admin: AdminClient, args: readonly string[], flags: Flags) => Promise<Printed>,
): void {
  command
    .addOption(new Option('--data <directory>', `the registry's data directory (also ${variableOf('data')})`))
    .addOption(new Option('--config <file>', `the registry's configuration (also ${configFileVariable})`))
    .addOption(new Option('--json', 'print JSON'))
    .action(async () => end(await execute(run, command.args, command.opts())));
}

async function execute(
  run: (admin: AdminClient, args: readonly string[], flags: Flags) => Promise<Printed>,
  args: readonly string[],
  flags: Flags,
): Promise<number> {
  const { data, config: configFile } = flags;
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
    const admin = await openAdmin(loaded.config);
    try {
      const { json, text, exitCode } = await run(admin, args, flags);
      console.log(flags['json'] === true ? JSON.stringify(json, undefined, 2) : text);
      return exitCode ?? exitCodes.success;
    } finally {
      await admin.close();
    }
  } catch (error) {
    if (!(error instanceof RefusedError || error instanceof StartupError)) throw error;
    console.error(`wherry: ${error.message}`);
    return exitCodes.failure;
  }
}

/** All items of a listing that comes in pages. */
export async function everyPage<Item>(
  pageAfter: (
    after: string | undefined,
  ) => Promise<{ readonly items: readonly Item[]; readonly next?: string | undefined }>,
): Promise<Item[]> {
  const items: Item[] = [];
  for (let after: string | undefined; ;) {
    const page = await pageAfter(after);
    items.push(...page.items);
    if (page.next === undefined) return items;
    after = page.next;
  }
}
