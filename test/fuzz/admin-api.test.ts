import { expect, test } from 'bun:test';
import { join } from 'node:path';
import { adminEndpoints, adminPrefix } from '../../src/http/admin/routes.ts';
import { pythonTool } from '../install/python-tools.ts';
import { FuzzedRegistry } from './fuzzed-registry.ts';

const installsWithinMs = 300_000;
/** Of one request, in seconds. */
const answersWithin = '15';
/** For each operation, beside those of its edges. */
const requests = Bun.env['FUZZ_REQUESTS'] ?? '5';

const here = import.meta.dir;

test(
  'the admin API takes what its own description says, refuses what it does not, and answers as it says',
  async () => {
    const [python, program] = await pythonTool('schemathesis', join(here, 'requirements.txt'));
    await using registry = await FuzzedRegistry.start({ isGuarded: false });
    const workedFile = join(registry.directory, 'worked');
    const child = Bun.spawn(
      [
        python,
        program,
        '--config-file',
        join(here, 'schemathesis.toml'),
        'run',
        `${registry.origin}/admin/v1/openapi.json`,
        '--header',
        `Authorization: Bearer ${await registry.adminToken()}`,
        '--phases',
        'examples,coverage,fuzzing',
        '--max-examples',
        requests,
        '--workers',
        '1',
        '--request-timeout',
        answersWithin,
        '--continue-on-failure',
        '--no-color',
        '--seed',
        Bun.env['FUZZ_SEED'] ?? '1',
      ],
      {
        cwd: registry.directory,
        env: { ...process.env, PYTHONPATH: here, PYTHONDONTWRITEBYTECODE: '1', FUZZ_WORKED: workedFile },
        stdout: 'pipe',
        stderr: 'pipe',
      },
    );
    const [output, errors, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
    console.error(code === 0 ? output.split('\n').slice(-15).join('\n') : output + errors);
    expect(code).toBe(0);
    // What is only ever refused has not been tried.
    const worked = new Set((await Bun.file(workedFile).text()).trim().split('\n'));
    const operations = adminEndpoints.map(({ method, path }) => `${method} ${adminPrefix}${path}`);
    expect(operations.filter((name) => !worked.has(name))).toEqual([
      'GET /admin/v1/events/follow',
      'POST /admin/v1/readonly/on',
      'POST /admin/v1/readonly/renew',
    ]);
    expect(await registry.failures()).toEqual([]);
    await registry.admin('POST', '/collector/resume');
    await registry.expectWorking();
  },
  installsWithinMs,
);
