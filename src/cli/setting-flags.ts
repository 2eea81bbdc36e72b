import { type Command, Option } from 'commander';
import { configFileVariable, variableOf } from '../config/environment.ts';
import { flagOf } from '../config/flags.ts';
import { bareFlags, sections, settableIn } from '../config/settings.ts';
import type { Setting, Shorthand } from '../config/settings.ts';

/** What the flags of a command line say about the configuration. */
export interface ConfigFlags {
  readonly configFile: string | undefined;
  /** By the name of the setting. */
  readonly values: ReadonlyMap<string, string>;
}

/**
 * Adds `--config` and a flag for each setting to a command; the result reads them once the command line is parsed.
 * @param isWanted for which settings, by their names; all where it is left out
 */
export function addSettingFlags(command: Command, isWanted: (name: string) => boolean = () => true): () => ConfigFlags {
  const configOption = new Option(
    '--config <file>',
    `a YAML file with settings (also ${configFileVariable}); docs/configuration.md has an example`,
  );
  command.addOption(configOption);
  const nameOfAttribute = new Map<string, string>();
  for (const section of sections) {
    for (const one of settableIn(section).filter(({ name }) => isWanted(name))) {
      const option = optionOf(one).helpGroup(`${section.title}:`);
      nameOfAttribute.set(option.attributeName(), one.name);
      command.addOption(option);
      for (const bare of bareFlags.filter(({ setting }) => setting === one.name)) {
        command.addOption(bareOption(bare).helpGroup(`${section.title}:`));
      }
    }
  }
  command.addHelpText(
    'after',
    `
Each setting can also be in the environment (${flagOf('windows.lease')} is ${variableOf('windows.lease')}) and in the file
(windows.lease). Flags win over the environment, the environment over the file.`,
  );

  return () => {
    const given: Readonly<Record<string, unknown>> = command.opts();
    const file = given[configOption.attributeName()];
    const values = new Map<string, string>();
    for (const [attribute, name] of nameOfAttribute) {
      const value = given[attribute];
      if (typeof value === 'string') values.set(name, value);
    }
    for (const bare of bareFlags.filter(({ setting }) => isWanted(setting))) {
      // Who gives both means the one that says more.
      if (given[bareOption(bare).attributeName()] === true && !values.has(bare.setting)) {
        values.set(bare.setting, bare.value);
      }
    }
    return { configFile: typeof file === 'string' ? file : undefined, values };
  };
}

/** Whether a setting says where metadata or blobs lie. */
export function saysWhere(name: string): boolean {
  return name === 'data' || name === 'metadata' || name === 'blobs' || name.startsWith('s3.');
}

function optionOf(one: Setting<unknown> | Shorthand): Option {
  const summary = firstSentence(one.description);
  const description = 'default' in one ? `${summary} (default: ${one.default})` : summary;
  const option = new Option(`${flagOf(one.name)} <${one.type.placeholder}>`, description);
  if (one.type.isList) {
    option.argParser<string | undefined>((value, earlier) => (earlier === undefined ? value : `${earlier},${value}`));
  }
  return option;
}

function bareOption({ flag, setting, value }: (typeof bareFlags)[number]): Option {
  return new Option(flag, `The same as ${flagOf(setting)} ${value}`);
}

function firstSentence(paragraph: string): string {
  return paragraph.split('. ', 1).join('').replace(/\.$/, '');
}
