import { readdirSync, readFileSync } from 'node:fs';

// USER_HZ, the unit of CPU times in /proc/PID/stat: 100 on every Linux that Bun runs on, whatever the kernel's own HZ.
const ticksPerSecond = 100;

/** CPU time and memory of a process and all its descendants. */
export interface TreeUsage {
  /** User and system time since each process began. */
  readonly cpuSeconds: number;
  /** Resident now (VmRSS), summed. */
  readonly residentBytes: number;
  /** The highest each process ever was (VmHWM), summed. */
  readonly peakResidentBytes: number;
}

/** Reads a file of /proc; undefined once its process has gone. */
function readProc(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

/** The process ids of a process and all its descendants, the process itself first; those that are gone are left out. */
export function processTree(pid: number): number[] {
  let threads: string[];
  try {
    threads = readdirSync(`/proc/${pid}/task`);
  } catch {
    return [];
  }
  const tree = [pid];
  for (const thread of threads) {
    const children = readProc(`/proc/${pid}/task/${thread}/children`) ?? '';
    for (const child of children.split(' ').filter((word) => word !== '')) {
      tree.push(...processTree(Number(child)));
    }
  }
  return tree;
}

/** User and system time in seconds from the text of /proc/PID/stat. */
export function cpuSecondsOfStat(stat: string): number {
  // The command's name, in parentheses, may itself contain blanks and parentheses: count fields after the last one.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
}

/** A size in bytes from the text of /proc/PID/status; 0 if the field is missing (a process that is about to be gone). */
export function bytesOfStatus(status: string, field: 'VmRSS' | 'VmHWM'): number {
  const match = new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(status);
  return match === null ? 0 : Number(match[1]) * 1024;
}

/** What a process and its descendants have used; Linux only. */
export function treeUsage(pid: number): TreeUsage {
  let cpuSeconds = 0;
  let residentBytes = 0;
  let peakResidentBytes = 0;
  for (const member of processTree(pid)) {
    const stat = readProc(`/proc/${member}/stat`);
    const status = readProc(`/proc/${member}/status`);
    if (stat === undefined || status === undefined) continue;
    cpuSeconds += cpuSecondsOfStat(stat);
    residentBytes += bytesOfStatus(status, 'VmRSS');
    peakResidentBytes += bytesOfStatus(status, 'VmHWM');
  }
  return { cpuSeconds, residentBytes, peakResidentBytes };
}
