#!/usr/bin/env bun
import { runCommandLine } from './cli/program.ts';

// Whoever reads what is printed may have seen enough, as in `wherry trash list | head`.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit();
});

// What a command leaves open (a timer, a connection of a client that does not go) must not keep an ended process.
process.exit(await runCommandLine(process.argv.slice(2)));
