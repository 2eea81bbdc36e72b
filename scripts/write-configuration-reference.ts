// npm run docs: writes docs/configuration.md from the table of settings.
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { configurationReference } from '../src/config/reference.ts';

const page = path.join(import.meta.dir, '..', 'docs', 'configuration.md');
await mkdir(path.dirname(page), { recursive: true });
await writeFile(page, configurationReference());
console.log(`${path.relative(process.cwd(), page)} is up to date`);
