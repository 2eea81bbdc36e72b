import { readFile } from 'node:fs/promises';
import { readConfigFile } from '../config/file.ts';
import { lintPolicies, type LintRemark } from '../retention/lint.ts';
import { parsePolicies } from '../retention/parse.ts';
import { exitCodes } from './exit-codes.ts';
import type { CommandDefinition } from './command-definition.ts';

interface Checked {
  readonly problems: readonly string[];
  readonly remarks: readonly (LintRemark & { readonly where: string })[];
  readonly policies: number;
}

/** `wherry retention check FILE`: whether policies would be accepted, and what in them can never matter. */
export const defineRetentionCheck: CommandDefinition = (command, end) => {
  command
    .description('say what is wrong with the policies of a configuration file, and what in them can never matter')
    .argument('<file>', 'a configuration file with policies')
    .option('--json', 'print JSON', false)
    .addHelpText('after', '\nIt ends with 1 where the policies would be refused. Remarks alone are no failure.')
    .action(async (file: string, { json }: { readonly json: boolean }) => end(await check(file, json)));
};

async function check(file: string, asJson: boolean): Promise<number> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    console.error(`wherry cannot read ${file}: ${error instanceof Error ? error.message : String(error)}`);
    return exitCodes.usage;
  }
  const checked = checkText(file, text);
  console.log(asJson ? JSON.stringify(checked, undefined, 2) : textOf(file, checked));
  return checked.problems.length > 0 ? exitCodes.failure : exitCodes.success;
}

function checkText(file: string, text: string): Checked {
  const { problems, policies: document } = readConfigFile(file, text);
  if (document === undefined) {
    const all = problems.length > 0 ? problems : [`${file}: there are no policies in it`];
    return { problems: all, remarks: [], policies: 0 };
  }
  const parsed = parsePolicies(document.value, document.whereIs);
  if (!parsed.ok) return { problems: [...problems, ...parsed.problems], remarks: [], policies: 0 };
  const remarks = lintPolicies(parsed.policies).map(({ path, message }) => ({
    where: document.whereIs(partsOf(path)),
    path,
    message,
  }));
  return { problems, remarks, policies: parsed.policies.length };
}

function textOf(file: string, { problems, remarks, policies }: Checked): string {
  if (problems.length > 0) return problems.join('\n');
  const lines = remarks.map(({ where, path, message }) => `${where}: ${path} ${message}`);
  const count = policies === 1 ? '1 policy' : `${policies} policies`;
  const found = remarks.length === 0 ? 'nothing to remark' : `${remarks.length} to look at`;
  return [...lines, `${file}: ${count}, ${found}.`].join('\n');
}

/** The keys and indexes of `policies[0].rules[1]`, below `policies`. */
function partsOf(path: string): readonly (string | number)[] {
  return [...path.replace(/^policies/, '').matchAll(/\[(\d+)\]|\.([^.[]+)/g)].map(([, index, key = '']) =>
    index === undefined ? key : Number(index),
  );
}
