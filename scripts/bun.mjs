// node scripts/bun.mjs FILE ARGUMENTS: sets up and runs a script of the project.
import { becomeBun } from './run-bun.mjs';

await becomeBun(process.argv.slice(2), { endWithParent: true });
