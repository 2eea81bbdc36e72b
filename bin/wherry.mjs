#!/usr/bin/env node
// The command `wherry` of a checkout, from wherever it is called.
import path from 'node:path';
import { becomeBun } from '../scripts/run-bun.mjs';
import { projectDirectory } from '../scripts/setup.mjs';

await becomeBun([path.join(projectDirectory, 'src', 'main.ts'), ...process.argv.slice(2)], { endWithParent: false });
