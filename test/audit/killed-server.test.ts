import { expect, test } from 'bun:test';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { digestOf, freshBytes } from '../http/content.ts';
import { forgetStoresBeside, storesBeside } from '../pairs/stores-beside.ts';
import { freePort } from '../server/free-port.ts';
import { ServerProcess } from '../server/server-process.ts';

const main = join(import.meta.dir, '..', '..', 'src', 'main.ts');
const line = z.object({ id: z.number() });
const kills = 4;
const pushersAtOnce = 4;

test('a server that is killed again and again while it is pushed to writes every event to its file once', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'wherry-audit-'));
  try {
    const data = join(directory, 'data');
    const file = join(directory, 'audit.jsonl');
    const { environment, tables } = storesBeside(data);
    const start = async () => {
      const port = freePort();
      const command = ['serve', `--data=${data}`, `--listen=127.0.0.1:${port}`, `--audit-file=${file}`];
      return await ServerProcess.start(port, join(directory, 'log'), {
        command: [process.execPath, main, ...command],
        environment,
      });
    };
    let pushed = 0;
    for (let kill = 0; kill < kills; kill++) {
      await using server = await start();
      // Each time after another number of pushes.
      const enough = pushed + 20 + 17 * kill;
      const pushing = Array.from({ length: pushersAtOnce }, async () => {
        for (;;) {
          const bytes = freshBytes();
          const path = `/v2/team/app/blobs/uploads/?digest=${digestOf(bytes)}`;
          const answer = await fetch(`${server.origin}${path}`, { method: 'POST', body: bytes }).catch(() => undefined);
          if (answer === undefined) return;
          if (answer.status === 201) pushed++;
          if (pushed >= enough) await server.kill();
        }
      });
      await Promise.all(pushing);
    }
    await using server = await start();
    await server.stop();
    const ids = tables.rows<{ id: number }>('select id from event order by id');
    const lines = (await readFile(file, 'utf8')).trim().split('\n');
    expect(lines.map((text) => line.parse(JSON.parse(text)))).toEqual(ids);
    expect(ids.length).toBeGreaterThanOrEqual(pushed);
  } finally {
    forgetStoresBeside(join(directory, 'data'));
    await rm(directory, { recursive: true });
  }
}, 60_000);
