import { openSync, writeSync } from 'node:fs';
import { createLog } from '../../src/log/log.ts';
import { startServer } from '../../src/server/server.ts';
import { callsThatReach } from '../crash/failure-points.ts';
import { configFrom } from '../server/config-from.ts';
import { PurgeWatch } from './purge-watch.ts';

/**
 * A registry with windows near zero that kills itself when a purge comes to one of its failure points for the nth time.
 * It writes each of these points that is reached into a file, a line each. What it does is in its environment.
 */
function given(name: string): string {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not given`);
  return value;
}

const reachedFile = openSync(given('FIRE_REACHED'), 'a');
const fault = { point: process.env['FIRE_POINT'], nth: Number(process.env['FIRE_NTH']) };
const counts = new Map<string, number>();
let watch: PurgeWatch | undefined;

function reach(point: string): void {
  if (watch?.isOfPurge(point) !== true) return;
  const count = (counts.get(point) ?? 0) + 1;
  counts.set(point, count);
  writeSync(reachedFile, `${point}\n`);
  if (point === fault.point && count === fault.nth) process.kill(process.pid, 'SIGKILL');
}

const settings = {
  data: given('FIRE_DATA'),
  listen: given('FIRE_LISTEN'),
  'windows.lease': '2s',
  'windows.neverTagged': '2s',
  'windows.trash': '100ms',
  'windows.condemned': '50ms',
  'windows.upload': '2s',
  // As if there were no requests: it is to meet as many of them as it can.
  'collector.share': '100',
  'http.drain': '1s',
  'log.level': 'warn',
};
const server = await startServer({
  config: await configFrom(settings),
  log: await createLog({ level: 'warn', format: 'json' }),
  syncs: callsThatReach(reach),
  wrapMetadata(inner) {
    watch = new PurgeWatch(inner);
    return watch;
  },
});
process.on('SIGTERM', () => {
  void server.stop().finally(() => process.exit(0));
});
