import { configFileVariable, variableOf } from './environment.ts';
import { flagOf } from './flags.ts';
import { sections, settable, settableIn } from './settings.ts';
import type { Section, Setting, Shorthand } from './settings.ts';

/** The text of docs/configuration.md, made from the table of settings. */
export function configurationReference(): string {
  return [introduction, ...sections.map(sectionText), ''].join('\n\n');
}

const introduction = `<!-- Made by \`npm run docs\` from src/config/settings/; change it there. -->

# Configuration

Wherry runs without any configuration. Each setting has the same name and takes the same values in three places; where
several of them set it, the later in this list wins:

1. a YAML file, named by \`--config FILE\` or \`${configFileVariable}\`; the name's parts are nested keys;
2. the environment: \`${variableOf('windows.neverTagged')}\` is \`windows.neverTagged\`; an empty variable counts as not set;
3. the command line: \`${flagOf('windows.neverTagged')}\` is \`windows.neverTagged\`.

Names that do not exist and values that are not accepted are refused at the start, all of them at once. Variables that
Kubernetes sets for a Service named \`wherry\` are passed over. Only the file can hold \`policies\`, which
[retention.md](retention.md) describes, and \`quotas\` ([quotas.md](quotas.md)).

This file holds the defaults:

\`\`\`yaml
${exampleFile()}
\`\`\``;

function sectionText(section: Section): string {
  return [`## ${section.title}`, section.description, ...settableIn(section).map(settingText)].join('\n\n');
}

function settingText(one: Setting<unknown> | Shorthand): string {
  return [
    `### \`${one.name}\``,
    '',
    one.description,
    '',
    ...('default' in one ? [`- Default: \`${one.default}\``] : []),
    `- Takes ${one.type.accepts}`,
    `- \`${flagOf(one.name)}\`, \`${variableOf(one.name)}\``,
  ].join('\n');
}

/** A configuration file that sets every setting to its default. */
function exampleFile(): string {
  const lines: string[] = [];
  let open: readonly string[] = [];
  for (const one of settable) {
    if (!('default' in one)) continue;
    const path = one.name.split('.');
    const groups = path.slice(0, -1);
    const shared = groups.findIndex((group, depth) => open[depth] !== group);
    for (const [depth, group] of groups.entries()) {
      if (shared !== -1 && depth >= shared) lines.push(`${'  '.repeat(depth)}${group}:`);
    }
    lines.push(`${'  '.repeat(groups.length)}${path.at(-1)}: ${one.default}`);
    open = groups;
  }
  return lines.join('\n');
}
