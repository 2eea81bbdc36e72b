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

/** What a file's tests may do to the registry. */
export interface StageRules {
  /** Whether the tests damage the registry's data, so that it has reason to log errors. */
  readonly mayLogErrors: boolean;
}

/**
 * Has a registry running during the tests of the file that calls this; all of it is gone after them. A registry that
 * ended by itself, logged an error or did not stop in good order fails them, even if no client has noticed.
 */
export function setStage(name: string, rules: StageRules = { mayLogErrors: false }): Stage {
  const fixtures = imageFixtures();
  const directory = mkdtempSync(join(tmpdir(), `wherry-${name}-`));
  const home = new ClientHome(join(directory, 'home'));
  const wherry = new WherryProcess(join(directory, 'registry'));
  beforeAll(async () => {
    await wherry.start();
  });
  afterAll(async () => {
    try {
      const running = wherry.ended === undefined;
      const ended = await wherry.stop();
      if (!running || ended !== 'exit code 0') {
        throw new Error(`the registry ended ${running ? '' : 'by itself '}with ${ended}:\n${await wherry.logTail()}`);
      }
      const errors = rules.mayLogErrors ? [] : await wherry.loggedErrors();
      if (errors.length > 0) throw new Error(`the registry has logged errors:\n${errors.slice(0, 10).join('\n')}`);
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  });
  return {
    wherry,
    home,
    fixtures,
    repository: (repository) => new RegistryRepository(wherry.origin, repository),
  };
}
