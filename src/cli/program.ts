import { Command, CommanderError } from 'commander';
import type { CommandDefinition } from './command-definition.ts';
import { exitCodes } from './exit-codes.ts';
import { version } from '../version.ts';

/** A command of the command line. Its own file is loaded when it is run, so that no command pays for another. */
interface CommandEntry {
  readonly name: string;
  readonly summary: string;
  /** It is for this program itself. */
  readonly isHidden?: boolean;
  readonly load: () => Promise<CommandDefinition>;
}

const defaultCommand = 'serve';

const commands: readonly CommandEntry[] = [
  {
    name: 'serve',
    summary: 'run the registry (also when no command is given)',
    load: async () => (await import('./serve.ts')).defineServe,
  },
  {
    name: 'storm',
    summary: 'find out whether a registry loses images while they are pushed, pulled and deleted at once',
    load: async () => (await import('./storm.ts')).defineStorm,
  },
  {
    name: 'fsck',
    summary: 'check the database and the blobs against each other, also while the registry runs',
    load: async () => (await import('./fsck.ts')).defineFsck,
  },
  {
    name: 'backup',
    summary: 'copy the database to a file, also while the registry runs',
    load: async () => (await import('./backup.ts')).defineBackup,
  },
  {
    name: 'restore',
    summary: 'put an older copy of the database in place',
    load: async () => (await import('./restore.ts')).defineRestore,
  },
  {
    name: 'migrate',
    summary: 'move the registry to another database, other blob storage, or both, while it serves pulls',
    load: async () => (await import('./migrate.ts')).defineMigrate,
  },
  {
    name: 'readonly',
    summary: 'show or switch whether the registry can be changed',
    load: async () => (await import('./readonly.ts')).defineReadOnly,
  },
  {
    name: 'events',
    summary: 'show what has happened, who did it, and what happens',
    load: async () => (await import('./events.ts')).defineEvents,
  },
  {
    name: 'trash',
    summary: 'list, restore or empty what was deleted',
    load: async () => (await import('./trash.ts')).defineTrash,
  },
  {
    name: 'purge',
    summary: 'remove a content from everywhere at once, and keep it out; show, list and lift purges',
    load: async () => (await import('./purge.ts')).definePurge,
  },
  {
    name: 'pin',
    summary: 'keep a repository, a tag or a manifest from being deleted',
    load: async () => (await import('./pin.ts')).definePin,
  },
  {
    name: 'unpin',
    summary: 'take a pin away',
    load: async () => (await import('./pin.ts')).defineUnpin,
  },
  {
    name: 'pins',
    summary: 'list what is pinned',
    load: async () => (await import('./pin.ts')).definePins,
  },
  {
    name: 'explain',
    summary: 'say what keeps a thing, what deleting it would free, or what became of it',
    load: async () => (await import('./explain.ts')).defineExplain,
  },
  {
    name: 'du',
    summary: 'show what the registry, a repository or a tag takes',
    load: async () => (await import('./du.ts')).defineDu,
  },
  {
    name: 'find',
    summary: 'find the layers that hold files of a name, such as id_rsa or .env',
    load: async () => (await import('./find.ts')).defineFind,
  },
  {
    name: 'look-into',
    summary: 'look into layers for the server that has started it',
    isHidden: true,
    load: async () => (await import('./look-into.ts')).defineLookInto,
  },
  {
    name: 'worker',
    summary: 'serve the registry beside others, for the wherry that has started it',
    isHidden: true,
    load: async () => (await import('./serve.ts')).defineWorker,
  },
  {
    name: 'quota',
    summary: 'show what is used of each quota, and what it allows',
    load: async () => (await import('./quota.ts')).defineQuota,
  },
  {
    name: 'status',
    summary: 'show how full the disk is, what is stored, and what is to come',
    load: async () => (await import('./status.ts')).defineStatus,
  },
  {
    name: 'retention',
    summary: 'show what retention policies would remove; check them, or translate those of another registry',
    load: async () => (await import('./retention.ts')).defineRetention,
  },
  {
    name: 'robot',
    summary: 'make, list, rotate or revoke the accounts of programs',
    load: async () => (await import('./robot.ts')).defineRobot,
  },
  {
    name: 'auth',
    summary: 'say who may do what and why, check users and access rules, or make a password for a user',
    load: async () => (await import('./auth.ts')).defineAuth,
  },
  {
    name: 'collector',
    summary: 'show, pause or resume the collector',
    load: async () => (await import('./collector.ts')).defineCollector,
  },
];

/** Runs the command that the arguments name, to its end; returns the exit code. */
export async function runCommandLine(args: readonly string[]): Promise<number> {
  const given = withCommand(args);
  let exitCode: number = exitCodes.success;
  const end = (code: number): void => {
    exitCode = code;
  };
  const program = new Command('wherry')
    .description('An OCI container registry that tidies up after itself')
    .version(version)
    .usage('[command] [flags]')
    .helpCommand('help [command]', 'show the flags of a command')
    .showHelpAfterError(false)
    .configureHelp({ showGlobalOptions: false })
    // The flags behind a command's name are its own, also where one above it has the same.
    .enablePositionalOptions()
    .exitOverride();
  const asked = given[0] === 'help' ? given[1] : given[0];
  for (const { name, summary, isHidden = false, load } of commands) {
    const command = program.command(name, { hidden: isHidden }).summary(summary).description(summary);
    if (name === asked) (await load())(command, end);
  }
  try {
    await program.parseAsync(given, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    // Help and the version end this way too.
    return error.exitCode === 0 ? exitCodes.success : exitCodes.usage;
  }
  return exitCode;
}

/** Flags alone are those of `serve`, except those that ask about the program as a whole. */
function withCommand(args: readonly string[]): readonly string[] {
  const [first] = args;
  if (first === undefined) return [defaultCommand];
  const isAboutProgram = args.length === 1 && ['-h', '--help', '-V', '--version'].includes(first);
  return first.startsWith('-') && !isAboutProgram ? [defaultCommand, ...args] : args;
}
