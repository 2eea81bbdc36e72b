import { problemsOfBucket, withBucketRules } from './bucket-rules.ts';
import { configFileVariable, readEnvironment } from './environment.ts';
import type { Environment } from './environment.ts';
import { readFlags } from './flags.ts';
import type { PoliciesDocument } from './policies-document.ts';
import { configOf } from './schema.ts';
import type { Config } from './schema.ts';
import { problemsOfS3Server } from './s3-server.ts';
import { allSettings, namesSetBy, type Setting, settable } from './settings.ts';
import { problemOfBounds } from './storage-bound.ts';
import type { FoundValue, SourceKind, SourceReading } from './source.ts';

export type LoadResult =
  | {
      readonly ok: true;
      readonly config: Config;
      /** By the name of each setting, where its value comes from. */
      readonly sources: ReadonlyMap<string, SourceKind>;
      /** The retention policies of the file, not yet parsed: that is for src/retention/. */
      readonly policies: PoliciesDocument | undefined;
      /** The same of its quotas: that is for src/quotas/. */
      readonly quotas: PoliciesDocument | undefined;
      /** The same of who may do what, and of who is in which group: those are for src/access/. */
      readonly access: PoliciesDocument | undefined;
      readonly groups: PoliciesDocument | undefined;
      /** The same of whose tokens are believed. */
      readonly issuers: PoliciesDocument | undefined;
      /** The same of what cannot be overwritten or deleted: that is for src/immutability/. */
      readonly immutable: PoliciesDocument | undefined;
    }
  | { readonly ok: false; readonly problems: readonly string[] };

/**
 * Reads the configuration from all of its sources: flags win over the environment, that over the file, that over the
 * defaults, unless it is said that the file goes before what is around it. Everything that is wrong in any of them is
 * reported, even a value that another source overrides: each
 * problem is one line that names the setting, where it stands, the value and what is accepted.
 *
 * @param options.configFile the path that the flag `--config` gave; otherwise WHERRY_CONFIG names the file
 * @param options.flags the values of flags, by the name of the setting
 * @param options.readFile gives the text of a file, or throws
 * @param options.overFile has the file win over `flags` and the environment, and only these values of flags over the file
 */
export async function loadConfig(options: {
  readonly configFile?: string | undefined;
  readonly flags: ReadonlyMap<string, string>;
  readonly env: Environment;
  readonly readFile: (path: string) => string | Promise<string>;
  readonly overFile?: ReadonlyMap<string, string>;
}): Promise<LoadResult> {
  const { configFile, flags, env, readFile, overFile } = options;
  const ofFile = await readFileOf(configFile, env, readFile);
  const around = [readEnvironment(env), readFlags(flags)];
  const readings = overFile === undefined ? [ofFile, ...around] : [...around, ofFile, readFlags(overFile)];
  const found = readings.flatMap((reading) => reading.found);
  const problems = readings.flatMap((reading) => reading.problems).concat(found.flatMap(problemsOf));
  if (problems.length > 0) return { ok: false, problems };

  const chosen = choose(found);
  const valueOf = <T>({ name, type, default: usual }: Setting<T>): T =>
    type.schema.parse(chosen.get(name)?.value ?? usual);
  const config = configOf(valueOf, env);
  const { high, low } = config.storage;
  const between = low && problemOfBounds(high, low);
  if (between !== undefined) return { ok: false, problems: [between] };
  const isSet = (name: string): boolean => chosen.has(name);
  const ofBucket = [
    ...problemsOfBucket(config, isSet),
    ...(config.blobs.kind === 's3' ? problemsOfS3Server(config.s3, env) : []),
  ];
  if (ofBucket.length > 0) return { ok: false, problems: ofBucket };
  const sources = new Map(allSettings.map(({ name }) => [name, chosen.get(name)?.kind ?? 'default'] as const));
  // Only a file can hold them.
  const { policies, quotas, access, groups, issuers, immutable } = ofFile;
  const ruled = withBucketRules(config, isSet);
  return { ok: true, config: ruled, sources, policies, quotas, access, groups, issuers, immutable };
}

async function readFileOf(
  flag: string | undefined,
  env: Environment,
  readFile: (path: string) => string | Promise<string>,
): Promise<SourceReading> {
  const variable = env[configFileVariable];
  const path = flag ?? (variable === '' ? undefined : variable);
  if (path === undefined) return { found: [], problems: [] };
  let text: string;
  try {
    text = await readFile(path);
  } catch (error) {
    const origin = flag === undefined ? `${configFileVariable} in the environment` : '--config';
    const reason = error instanceof Error ? error.message : String(error);
    return { found: [], problems: [`${origin}: the configuration file ${path} cannot be read: ${reason}`] };
  }
  // The YAML parser is loaded for those who have a file only: it costs as long as the rest of this room.
  const { readConfigFile } = await import('./file.ts');
  return readConfigFile(path, text);
}

function problemsOf({ name, value, where }: FoundValue): string[] {
  const setting = settable.find((one) => one.name === name);
  if (setting === undefined) throw new Error(`a source sets ${name}, which is not a setting`);
  const parsed = setting.type.schema.safeParse(value);
  if (parsed.success) return [];
  const reasons = parsed.error.issues.map(({ message }) => message).join('; ');
  return [`${where}: ${name} cannot be ${shown(value)}: ${reasons}. It takes ${setting.type.accepts}.`];
}

/**
 * The value that wins for each setting. The list comes in order of precedence; within one source, a shorthand yields to
 * the settings that it stands for, whatever their order.
 */
function choose(found: readonly FoundValue[]): Map<string, FoundValue> {
  const chosen = new Map<string, FoundValue>();
  const specific = new Map<string, SourceKind>();
  for (const one of found) {
    for (const name of namesSetBy(one.name)) {
      if (name === one.name) specific.set(name, one.kind);
      else if (specific.get(name) === one.kind) continue;
      chosen.set(name, one);
    }
  }
  return chosen;
}

/** A value as it was written, but for the passwords in an address. */
function shown(value: unknown): string {
  return JSON.stringify(value)
    .replaceAll(/(:\/\/[^:@/"]*:)[^"]*@/g, '$1…@')
    .replaceAll(/([?&][a-z]*password=)[^&"]*/gi, '$1…');
}
