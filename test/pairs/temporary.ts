import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';

/** Memory, where the system has some to put files into: for what need not last, where much is made and removed. */
export const temporary = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
