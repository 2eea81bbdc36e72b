#!/usr/bin/env bun
import { runCommandLine } from './cli/program.ts';

// What a command leaves open (a timer, a connection of a client that does not go) must not keep an ended process.
process.exit(await runCommandLine(process.argv.slice(2)));
