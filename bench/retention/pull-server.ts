// A registry, run as a process of its own, that records pulls until SIGUSR1, and again from SIGUSR2 on.
// usage: pull-server.ts DATA HOST:PORT [USER_AGENT]; the policies ignore pulls by this user agent
import { parsePolicySet } from '../../src/retention/policy-set.ts';
import { startServer } from '../../src/server/server.ts';
import { quietServer } from '../collect/in-process.ts';

const [directory = '', listen = '', ignored] = process.argv.slice(2);
const ignoring = { repositories: '**', default: 'keep', ignorePullsBy: { userAgents: [ignored, 'scan-*/**'] } };
const parsed = ignored === undefined ? undefined : parsePolicySet([ignoring]);
if (parsed?.ok === false) throw new Error(parsed.problems.join('\n'));
let isRecording = true;
const server = await startServer({
  ...(await quietServer(directory, listen)),
  policies: parsed?.set,
  wrapPullRules: (rules) => ({
    counts: (repo, puller, method) => isRecording && rules.counts(repo, puller, method),
  }),
});
// Whatever is due in a directory that was filled with rows has no files.
server.collector.pause();
process.on('SIGUSR1', () => {
  isRecording = false;
});
process.on('SIGUSR2', () => {
  isRecording = true;
});
process.on('SIGTERM', () => {
  void server.stop().then(() => process.exit(0));
});
