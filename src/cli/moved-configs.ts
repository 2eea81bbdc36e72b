import type { Environment } from '../config/environment.ts';
import { loadConfig } from '../config/load.ts';
import type { Config } from '../config/schema.ts';

/** What the registry runs with, and what it is to run with in the new place. */
export interface MovedConfigs {
  readonly from: Config;
  readonly to: Config;
}

/** What a command line says of a move, values of flags by the name of the setting, and what is around it. */
export interface GivenOfMove {
  readonly fromFile: string | undefined;
  readonly fromFlags: ReadonlyMap<string, string>;
  readonly toFile: string | undefined;
  readonly toFlags: ReadonlyMap<string, string>;
  readonly env: Environment;
  readonly readFile: (path: string) => string | Promise<string>;
}

export type MovedConfigsResult =
  | ({ readonly ok: true } & MovedConfigs)
  | { readonly ok: false; readonly of: 'the registry' | 'the new place'; readonly problems: readonly string[] };

/**
 * The configurations of both places. What a file of the new place names is so there, whatever the environment and flags say
 * of the old one; all else is there as it was. Where there is no such file, all is but for the flags of the new place.
 */
export async function movedConfigs(given: GivenOfMove): Promise<MovedConfigsResult> {
  const { fromFile, fromFlags, toFile, toFlags, env, readFile } = given;
  const from = await loadConfig({ configFile: fromFile, flags: fromFlags, env, readFile });
  if (!from.ok) return { ok: false, of: 'the registry', problems: from.problems };
  const to =
    toFile === undefined
      ? await loadConfig({ configFile: fromFile, flags: new Map([...fromFlags, ...toFlags]), env, readFile })
      : await loadConfig({ configFile: toFile, flags: fromFlags, env, readFile, overFile: toFlags });
  if (!to.ok) return { ok: false, of: 'the new place', problems: to.problems };
  return { ok: true, from: from.config, to: to.config };
}
