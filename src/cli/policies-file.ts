import { readFile } from 'node:fs/promises';
import { readConfigFile } from '../config/file.ts';
import { StartupError } from '../startup-error.ts';

/**
 * The policies of a configuration file, as they are written. They are parsed here first, where it is known on which
 * lines they stand.
 *
 * @throws StartupError
 */
export async function policiesIn(path: string): Promise<unknown> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    throw new StartupError(`cannot read ${path}: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    });
  }
  const { problems, policies } = readConfigFile(path, text);
  if (policies === undefined || problems.length > 0) {
    throw new StartupError(problems.length > 0 ? problems.join('\n  ') : `there are no policies in ${path}`);
  }
  const { parsePolicySet } = await import('../retention/policy-set.ts');
  const parsed = parsePolicySet(policies.value, policies.whereIs);
  if (!parsed.ok) throw new StartupError(['these policies are not accepted:', ...parsed.problems].join('\n  '));
  return policies.value;
}
