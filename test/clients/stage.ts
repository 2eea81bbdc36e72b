import { afterAll, beforeAll } from 'bun:test';
import { mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ClientHome } from './client-home.ts';
import { imageFixtures, type Fixtures } from './fixtures.ts';
import { RegistryRepository } from './registry-repository.ts';
import { WherryProcess } from './wherry-process.ts';

/** What a test with a real client stands on: a running registry and a home directory for the client. */
export interface Stage {
  readonly wherry: WherryProcess;
  readonly home: ClientHome;
  readonly fixtures: Fixtures;
  /** A repository of the registry, seen without any client. */
  repository(name: string): RegistryRepository;
}

/** Has a registry running during the tests of the file that calls this; all of it is gone after them. */
export function setStage(name: string): Stage {
  const fixtures = imageFixtures();
  const directory = mkdtempSync(join(tmpdir(), `wherry-${name}-`));
  const home = new ClientHome(join(directory, 'home'));
  const wherry = new WherryProcess(join(directory, 'registry'));
  beforeAll(async () => {
    await wherry.start();
  });
  afterAll(async () => {
    const ended = wherry.ended;
    const log = await wherry.logTail();
    const errors = await wherry.loggedErrors();
    console.log('ERRORS', errors.length, errors.slice(0, 5).join('\n'));
    await wherry[Symbol.asyncDispose]();
    await rm(directory, { recursive: true, force: true });
    if (ended !== undefined) throw new Error(`the registry ended during the tests (${ended}):\n${log}`);
  });
  return {
    wherry,
    home,
    fixtures,
    repository: (repository) => new RegistryRepository(wherry.origin, repository),
  };
}
