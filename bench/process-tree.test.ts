import { expect, test } from 'bun:test';
import { bytesOfStatus, cpuSecondsOfStat, processTree, treeUsage } from './process-tree.ts';

test('CPU time is read behind a program name that has blanks and parentheses in it', () => {
  expect(cpuSecondsOfStat('7 (a) b (c) S 1 7 7 0 -1 4194560 100 0 0 0 150 25 0 0 20 0')).toBe(1.75);
});

test('memory is read in bytes, and a process about to be gone counts as nothing', () => {
  expect(bytesOfStatus('Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\n', 'VmRSS')).toBe(1_048_576);
  expect(bytesOfStatus('Name:\tx\n', 'VmHWM')).toBe(0);
});

test('a registry that works through a child process is measured with its child', async () => {
  await using shell = Bun.spawn(['sh', '-c', 'cat; true'], { stdin: 'pipe', stdout: 'pipe' });
  void shell.stdin.write('x');
  await shell.stdin.flush();
  // The child runs once it echoes.
  await shell.stdout.getReader().read();
  const tree = processTree(shell.pid);
  expect(tree.length).toBe(2);
  expect(tree[0]).toBe(shell.pid);
  expect(treeUsage(shell.pid).residentBytes).toBeGreaterThan(0);
  await shell.stdin.end();
});
