import type { Command } from 'commander';

/** Adds a command's flags and action; the action hands over the process's exit code when it has ended. */
export type CommandDefinition = (command: Command, end: (exitCode: number) => void) => void;
