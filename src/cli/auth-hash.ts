import { parseHtpasswd } from '../access/htpasswd.ts';
import { longestSecretBytes } from '../access/verifications.ts';
import type { CommandDefinition } from './command-definition.ts';
import { exitCodes } from './exit-codes.ts';

const cost = 10;

/** `wherry auth hash NAME`: a line for the password file. The password never stands on a command line. */
export const defineAuthHash: CommandDefinition = (command, end) => {
  command
    .description('make a line for the password file from the password on the standard input')
    .argument('<name>', 'the name of the user')
    .addHelpText('after', '\nThe password is the first line of the standard input.')
    .action(async (name: string) => end(await hash(name)));
};

async function hash(name: string): Promise<number> {
  if (process.stdin.isTTY) process.stderr.write('The password, which is shown as you type, then Enter: ');
  const password = await firstLine();
  const problem = problemOf(password);
  if (problem !== undefined) {
    console.error(`wherry: ${problem}`);
    return exitCodes.usage;
  }
  const made = await Bun.password.hash(password, { algorithm: 'bcrypt', cost });
  // As htpasswd writes it, so that other programs can read the file too.
  const line = `${name}:${made.replace(/^\$2[ab]\$/, '$2y$$')}`;
  const parsed = parseHtpasswd(line, 'name');
  if (!parsed.ok || !parsed.hashes.has(name)) {
    console.error('wherry: a name has no colon and no line break, and does not begin with #');
    return exitCodes.usage;
  }
  console.log(line);
  return exitCodes.success;
}

function problemOf(password: string): string | undefined {
  if (password === '') return 'give the password on the standard input';
  if (password.includes('\0')) return 'the password has a NUL in it';
  const bytes = Buffer.byteLength(password);
  return bytes > longestSecretBytes
    ? `the password has ${bytes} bytes, and bcrypt takes no more than ${longestSecretBytes} into account: make it shorter`
    : undefined;
}

async function firstLine(): Promise<string> {
  let text = '';
  for await (const chunk of process.stdin) {
    text += String(chunk);
    if (text.includes('\n') || text.length > 10_000) break;
  }
  return text.split(/\r?\n/, 1).join('');
}
