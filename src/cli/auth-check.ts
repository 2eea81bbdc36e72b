import { readFile } from 'node:fs/promises';
import { parseHtpasswd } from '../access/htpasswd.ts';
import { lintAccess } from '../access/lint.ts';
import { addConfigFlag, type AuthConfig, readAuthConfig } from './auth-config.ts';
import type { CommandDefinition } from './command-definition.ts';
import { exitCodes } from './exit-codes.ts';

interface Checked {
  readonly problems: readonly string[];
  readonly remarks: readonly string[];
  readonly rules: number;
  /** Of the password file. */
  readonly users: number;
}

/** `wherry auth check`: whether users and rules would be accepted, and what in them never matters. */
export const defineAuthCheck: CommandDefinition = (command, end) => {
  addConfigFlag(command.description('say what is wrong with users and access rules, and what in them never matters'))
    .option('--json', 'print JSON', false)
    .addHelpText('after', '\nIt ends with 1 where they would be refused. Remarks alone are no failure.')
    .action(async (flags: { readonly config?: string; readonly json: boolean }) => {
      const checked = await check(flags.config);
      console.log(flags.json ? JSON.stringify(checked, undefined, 2) : textOf(checked));
      end(checked.problems.length > 0 ? exitCodes.failure : exitCodes.success);
    });
};

async function check(configFile: string | undefined): Promise<Checked> {
  const loaded = await readAuthConfig(configFile);
  if (!loaded.ok) return { problems: loaded.problems, remarks: [], rules: 0, users: 0 };
  const { auth } = loaded;
  const passwords = await passwordsOf(auth.config.auth.htpasswd);
  const { rules } = auth.rules;
  const users = passwords.users ?? new Set();
  const counts = { rules: rules.length, users: users.size };
  if (passwords.problems.length > 0) return { problems: passwords.problems, remarks: [], ...counts };
  return { problems: [], remarks: remarksOf(auth, passwords.users), ...counts };
}

function remarksOf(
  { rules, access, groups, config, issuers }: AuthConfig,
  users: ReadonlySet<string> | undefined,
): readonly string[] {
  const services = issuers?.issuers.filter(({ kind }) => kind === 'tokens').map(({ issuer }) => issuer) ?? [];
  const linted = lintAccess(rules, users, new Set(services)).map(({ root, path, message }) => {
    const document = root === 'access' ? access : groups;
    const where = document === undefined ? '' : `${document.whereIs(path)}: `;
    const place = path.reduce<string>(
      (text, part) => text + (typeof part === 'number' ? `[${part}]` : `.${part}`),
      root,
    );
    return `${where}${place} ${message}`;
  });
  const isLockedUp = users !== undefined && rules.rules.length === 0 && config.auth.anonymous === 'none';
  return isLockedUp
    ? [...linted, 'users can log in, but no access rule allows anybody anything: add some under access']
    : linted;
}

async function passwordsOf(
  path: string | undefined,
): Promise<{ users?: ReadonlySet<string>; problems: readonly string[] }> {
  if (path === undefined) return { problems: [] };
  try {
    const parsed = parseHtpasswd(await readFile(path, 'utf8'), path);
    return parsed.ok ? { users: new Set(parsed.hashes.keys()), problems: [] } : parsed;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return { problems: [`the password file ${path} cannot be read: ${reason}`] };
  }
}

function textOf({ problems, remarks, rules, users }: Checked): string {
  if (problems.length > 0) return problems.join('\n');
  const counts = `${rules} ${rules === 1 ? 'rule' : 'rules'}, ${users} ${users === 1 ? 'user' : 'users'} in the password file`;
  return [
    ...remarks,
    `${counts}: ${remarks.length === 0 ? 'nothing to remark' : `${remarks.length} to look at`}.`,
  ].join('\n');
}
