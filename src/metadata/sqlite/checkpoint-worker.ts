// A thread that moves commits from the log into the database file, which waits for the disk. checkpoint-thread.ts starts
// it for a database. Each `pass` is answered with what came of it; anything else ends the thread.
import { Database, SQLiteError } from 'bun:sqlite';
import { parentPort, workerData } from 'node:worker_threads';
import { checkpoint } from './checkpoint.ts';
import type { PassAnswer } from './checkpoint-thread.ts';

const port = parentPort;
if (port === null || typeof workerData !== 'string') throw new Error('this is started as a thread, for a database');
const database = new Database(workerData, { readwrite: true });
database.run('pragma synchronous = normal');

port.on('message', (message: unknown) => {
  if (message === 'pass') {
    port.postMessage(pass());
  } else {
    database.close();
    port.close();
  }
});

function pass(): PassAnswer {
  try {
    return { ok: true, ...checkpoint(database, 'passive') };
  } catch (error) {
    if (!(error instanceof SQLiteError)) throw error;
    return { ok: false, message: error.message, code: error.code ?? '' };
  }
}
