import { suggestion } from './nearest.ts';
import { settable } from './settings.ts';
import type { FoundValue, SourceReading } from './source.ts';

/** Names the configuration file. */
export const configFileVariable = 'WHERRY_CONFIG';

export type Environment = Readonly<Record<string, string | undefined>>;

/** The environment variable of a setting: `windows.neverTagged` is `WHERRY_WINDOWS_NEVER_TAGGED`. */
export function variableOf(name: string): string {
  return `WHERRY_${name
    .replaceAll('.', '_')
    .replaceAll(/[A-Z]/g, (letter) => `_${letter}`)
    .toUpperCase()}`;
}

/**
 * Reads the WHERRY_* variables. An empty one counts as not set, which is what `WHERRY_LISTEN=${LISTEN:-}` in a compose
 * file means. One that is no setting is refused: it is most likely mistyped.
 */
export function readEnvironment(environment: Environment): SourceReading {
  const nameOf = new Map(settable.map(({ name }) => [variableOf(name), name]));
  const found: FoundValue[] = [];
  const problems: string[] = [];
  for (const [variable, value] of Object.entries(environment)) {
    if (!variable.startsWith('WHERRY_') || variable === configFileVariable || isServiceLink(variable)) continue;
    const name = nameOf.get(variable);
    if (name === undefined) {
      const hint = suggestion(variable, [configFileVariable, ...nameOf.keys()]);
      problems.push(`${variable} in the environment: this is not a setting${hint}`);
    } else if (value !== undefined && value !== '') {
      found.push({ name, value, kind: 'environment', where: `${variable} in the environment` });
    }
  }
  return { found, problems };
}

/**
 * Kubernetes puts variables such as WHERRY_SERVICE_HOST and WHERRY_PORT_5000_TCP_ADDR into every container beside a
 * Service that is named wherry. They are no settings, and nobody mistyped them.
 */
function isServiceLink(variable: string): boolean {
  return /^WHERRY(_.+)?_(SERVICE_HOST|SERVICE_PORT(_.+)?|PORT|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$/.test(
    variable,
  );
}
