import { readFile } from 'node:fs/promises';
import { Option } from 'commander';
import { stringify } from 'yaml';
import { foreignKinds, type Conversion, type ForeignKind } from '../retention/convert/conversion.ts';
import { convertPolicies, detectKind } from '../retention/convert/convert.ts';
import { parsePolicies } from '../retention/parse.ts';
import { exitCodes } from './exit-codes.ts';
import type { CommandDefinition } from './command-definition.ts';

interface ConvertFlags {
  readonly from?: ForeignKind;
  readonly repository?: string;
}

/** `wherry retention convert FILE`: another registry's policies as ours, and where the effect differs. */
export const defineRetentionConvert: CommandDefinition = (command, end) => {
  command
    .description('translate retention policies of another registry, and say where the effect differs')
    .argument('<file>', 'the policies, as JSON; - reads them from the standard input')
    .addOption(
      new Option('--from <registry>', 'whose policies they are; found out where it is not given').choices(foreignKinds),
    )
    .option(
      '--repository <name>',
      'what the policies were made for, as it is named here: the project of harbor, the repository of ecr or of ' +
        'artifact-registry',
    )
    .addHelpText(
      'after',
      '\nIt prints YAML for the configuration file; remarks are comments in it. Look at it before you use it.',
    )
    .action(async (file: string, flags: ConvertFlags) => end(await convert(file, flags)));
};

async function convert(file: string, { from, repository }: ConvertFlags): Promise<number> {
  let given: unknown;
  try {
    given = JSON.parse(await readFile(file === '-' ? '/dev/stdin' : file, 'utf8'));
  } catch (error) {
    console.error(`wherry cannot read ${file}: ${error instanceof Error ? error.message : String(error)}`);
    return exitCodes.usage;
  }
  const kind = from ?? detectKind(given);
  if (kind === undefined) {
    console.error(`${file}: it cannot be told whose policies these are: say --from ${foreignKinds.join('|')}`);
    return exitCodes.usage;
  }
  const result = convertPolicies(kind, given, { repository });
  if (!result.ok) {
    console.error([`${file}: these are no policies of ${kind}:`, ...result.problems].join('\n  '));
    return exitCodes.failure;
  }
  // What is printed is what the registry will read, so it is read here first.
  const parsed = parsePolicies(result.conversion.policies);
  if (!parsed.ok) {
    console.error([`${file}: translated, these policies are not accepted:`, ...parsed.problems].join('\n  '));
    return exitCodes.failure;
  }
  console.log(textOf(kind, result.conversion));
  return exitCodes.success;
}

function textOf(kind: ForeignKind, { policies, remarks }: Conversion): string {
  const lines = remarks.map(({ path, message }) => `# - ${path === undefined ? '' : `${path}: `}${message}`);
  return [`# Translated from ${kind}. Where the effect differs:`, ...lines, stringify({ policies }).trimEnd()].join(
    '\n',
  );
}
