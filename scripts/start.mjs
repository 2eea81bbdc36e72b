// npm start -- ARGUMENTS: sets up and runs Wherry with these arguments.
import path from 'node:path';
import { becomeBun } from './run-bun.mjs';
import { projectDirectory } from './setup.mjs';

await becomeBun([path.join(projectDirectory, 'src', 'main.ts'), ...process.argv.slice(2)], { endWithParent: true });
