import type { SourceReading } from './source.ts';

/** The flag of a setting: `windows.neverTagged` is `--windows-never-tagged`. */
export function flagOf(name: string): string {
  return `--${name
    .replaceAll('.', '-')
    .replaceAll(/[A-Z]/g, (letter) => `-${letter}`)
    .toLowerCase()}`;
}

/** Reads flags that the command line has already been split into, by the name of their setting. */
export function readFlags(flags: ReadonlyMap<string, string>): SourceReading {
  const found = [...flags].map(([name, value]) => ({ name, value, kind: 'flag' as const, where: flagOf(name) }));
  return { found, problems: [] };
}
