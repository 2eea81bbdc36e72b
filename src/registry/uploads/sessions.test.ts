import { describe, expect, test } from 'bun:test';
import { DigestHasher, digestOf } from '../../oci/digest.ts';
import { UploadSessions, WriterTurn } from './sessions.ts';

/** How many hashes are kept at most. */
const maxHashes = 10_000;
/** That of the database, as long as it has lost nothing. */
const incarnation = 'the first';

function hasherOf(text: string): DigestHasher {
  const hasher = new DigestHasher('sha256');
  hasher.update(Buffer.from(text));
  return hasher;
}

/** Lets everything happen that waits for nothing but its turn. */
async function settled(): Promise<void> {
  await new Promise(setImmediate);
}

describe('the running hash of a session', () => {
  test('is handed over with all that went into it', () => {
    const sessions = new UploadSessions();
    sessions.keepHash('session', { incarnation, epoch: 1, offsetBytes: 5, hasher: hasherOf('first') });
    const hasher = sessions.takeHash('session', { incarnation, epoch: 1, offsetBytes: 5 });
    hasher?.update(Buffer.from(' second'));
    expect(hasher?.digest()).toBe(digestOf('sha256', Buffer.from('first second')));
  });

  test('is handed over once: two writers never feed the same hash', () => {
    const sessions = new UploadSessions();
    sessions.keepHash('session', { incarnation, epoch: 1, offsetBytes: 5, hasher: hasherOf('first') });
    expect(sessions.takeHash('session', { incarnation, epoch: 1, offsetBytes: 5 })).toBeDefined();
    expect(sessions.takeHash('session', { incarnation, epoch: 1, offsetBytes: 5 })).toBeUndefined();
  });

  test.each([
    ['another epoch', 2, 5],
    ['an earlier epoch', 0, 5],
    ['another offset', 1, 6],
    ['the beginning', 1, 0],
  ])('is of no use for %s, and from then on for nothing', (_, epoch, offsetBytes) => {
    const sessions = new UploadSessions();
    sessions.keepHash('session', { incarnation, epoch: 1, offsetBytes: 5, hasher: hasherOf('first') });
    expect(sessions.takeHash('session', { incarnation, epoch, offsetBytes })).toBeUndefined();
    expect(sessions.takeHash('session', { incarnation, epoch: 1, offsetBytes: 5 })).toBeUndefined();
  });

  test('is of no use where the database may have lost what it was kept for', () => {
    const sessions = new UploadSessions();
    sessions.keepHash('session', { incarnation, epoch: 1, offsetBytes: 5, hasher: hasherOf('first') });
    expect(sessions.takeHash('session', { incarnation: 'the second', epoch: 1, offsetBytes: 5 })).toBeUndefined();
  });

  test('tells of no digest either where the database may have lost what it was kept for', () => {
    const sessions = new UploadSessions();
    const left = { incarnation, epoch: 1, offsetBytes: 5 };
    const digest = digestOf('sha256', Buffer.from('first'));
    sessions.keepHash('session', { ...left, hasher: hasherOf('first') });
    expect(sessions.digestSoFar('session', left)).toBe(digest);
    expect(sessions.digestSoFar('session', { ...left, incarnation: 'the second' })).toBeUndefined();
    const [held] = sessions.holding(new Set([digest]));
    expect(held?.left).toMatchObject(left);
  });

  test('belongs to its session', () => {
    const sessions = new UploadSessions();
    sessions.keepHash('one', { incarnation, epoch: 1, offsetBytes: 3, hasher: hasherOf('one') });
    sessions.keepHash('two', { incarnation, epoch: 1, offsetBytes: 3, hasher: hasherOf('two') });
    expect(sessions.takeHash('three', { incarnation, epoch: 1, offsetBytes: 3 })).toBeUndefined();
    expect(sessions.takeHash('one', { incarnation, epoch: 1, offsetBytes: 3 })?.digest()).toBe(
      digestOf('sha256', Buffer.from('one')),
    );
    expect(sessions.takeHash('two', { incarnation, epoch: 1, offsetBytes: 3 })?.digest()).toBe(
      digestOf('sha256', Buffer.from('two')),
    );
  });

  test('is replaced by a later one', () => {
    const sessions = new UploadSessions();
    sessions.keepHash('session', { incarnation, epoch: 1, offsetBytes: 3, hasher: hasherOf('one') });
    sessions.keepHash('session', { incarnation, epoch: 2, offsetBytes: 7, hasher: hasherOf('one two') });
    expect(sessions.takeHash('session', { incarnation, epoch: 2, offsetBytes: 7 })?.digest()).toBe(
      digestOf('sha256', Buffer.from('one two')),
    );
  });

  test('is forgotten with the session', () => {
    const sessions = new UploadSessions();
    sessions.keepHash('session', { incarnation, epoch: 1, offsetBytes: 5, hasher: hasherOf('first') });
    sessions.forget('session');
    sessions.forget('session');
    expect(sessions.takeHash('session', { incarnation, epoch: 1, offsetBytes: 5 })).toBeUndefined();
  });

  test('gives way to newer ones where there are too many, the oldest first', () => {
    const sessions = new UploadSessions();
    const hasher = hasherOf('');
    for (let count = 0; count < maxHashes + 2; count++) {
      sessions.keepHash(`session ${count}`, { incarnation, epoch: 1, offsetBytes: 0, hasher });
    }
    const kept = Array.from({ length: maxHashes + 2 }, (_, count) =>
      sessions.takeHash(`session ${count}`, { incarnation, epoch: 1, offsetBytes: 0 }),
    );
    expect(kept.slice(0, 2)).toEqual([undefined, undefined]);
    expect(kept.filter((each) => each !== undefined).length).toBe(maxHashes);
  });
});

describe('a turn at a session', () => {
  test('gives what its work gives, and is over then', async () => {
    const sessions = new UploadSessions();
    expect(await sessions.takeTurn('session', async () => 'first')).toBe('first');
    expect(await sessions.takeTurn('session', async () => 'second')).toBe('second');
  });

  test('is ended for a later request, which waits until nothing more is written (R31)', async () => {
    const sessions = new UploadSessions();
    const events: string[] = [];
    const slow = Promise.withResolvers<void>();
    const first = sessions.takeTurn('session', async (turn) => {
      events.push(`first begins, stopped: ${turn.isStopped}`);
      await slow.promise;
      events.push(`first ends, stopped: ${turn.isStopped}`);
      return 'first';
    });
    const second = sessions.takeTurn('session', async (turn) => {
      events.push(`second begins, stopped: ${turn.isStopped}`);
      return 'second';
    });
    await settled();
    expect(events).toEqual(['first begins, stopped: false']);
    slow.resolve();
    expect(await Promise.all([first, second])).toEqual(['first', 'second']);
    expect(events).toEqual([
      'first begins, stopped: false',
      'first ends, stopped: true',
      'second begins, stopped: false',
    ]);
  });

  test('is interrupted while it waits for its client', async () => {
    const sessions = new UploadSessions();
    const client = Promise.withResolvers<string>();
    const first = sessions.takeTurn('session', async (turn) => {
      turn.interruptBy(async () => client.resolve('interrupted'));
      return await client.promise;
    });
    const second = sessions.takeTurn('session', async () => 'second');
    expect(await Promise.all([first, second])).toEqual(['interrupted', 'second']);
  });

  test('is interrupted at once where it was to stop before it began to wait for its client', async () => {
    const sessions = new UploadSessions();
    const claimed = Promise.withResolvers<void>();
    const client = Promise.withResolvers<string>();
    const first = sessions.takeTurn('session', async (turn) => {
      await claimed.promise;
      turn.interruptBy(async () => client.resolve('interrupted'));
      return await client.promise;
    });
    const second = sessions.takeTurn('session', async () => 'second');
    await settled();
    claimed.resolve();
    expect(await Promise.all([first, second])).toEqual(['interrupted', 'second']);
  });

  test('goes to the latest of those who wait; the others never write', async () => {
    const sessions = new UploadSessions();
    const slow = Promise.withResolvers<void>();
    const written: string[] = [];
    const work = (name: string) => async (): Promise<string> => {
      written.push(name);
      if (name === 'first') await slow.promise;
      return name;
    };
    const turns = ['first', 'second', 'third', 'fourth'].map((name) => sessions.takeTurn('session', work(name)));
    await settled();
    slow.resolve();
    expect(await Promise.all(turns)).toEqual(['first', undefined, undefined, 'fourth']);
    expect(written).toEqual(['first', 'fourth']);
  });

  test('never overlaps another at the same session, however they come and end', async () => {
    const sessions = new UploadSessions();
    let working = 0;
    let mostAtOnce = 0;
    let worked = 0;
    const turns: Promise<void | undefined>[] = [];
    for (let count = 0; count < 200; count++) {
      turns.push(
        sessions.takeTurn('session', async () => {
          worked++;
          mostAtOnce = Math.max(mostAtOnce, ++working);
          for (let step = 0; step < count % 5; step++) await settled();
          working--;
        }),
      );
      for (let step = 0; step < count % 3; step++) await settled();
    }
    await Promise.all(turns);
    expect(mostAtOnce).toBe(1);
    expect(worked).toBeGreaterThan(50);
  });

  test('that fails lets the next one come', async () => {
    const sessions = new UploadSessions();
    const first = sessions.takeTurn('session', async () => {
      await settled();
      throw new Error('the disk is gone');
    });
    const second = sessions.takeTurn('session', async () => 'second');
    expect(await Promise.allSettled([first, second])).toEqual([
      { status: 'rejected', reason: new Error('the disk is gone') },
      { status: 'fulfilled', value: 'second' },
    ]);
  });

  test('does not wait for those at other sessions', async () => {
    const sessions = new UploadSessions();
    const slow = Promise.withResolvers<void>();
    const first = sessions.takeTurn('one', async () => await slow.promise);
    expect(await sessions.takeTurn('two', async () => 'second')).toBe('second');
    slow.resolve();
    await first;
  });

  test('that nobody holds any more is stopped at once', async () => {
    const turn = new WriterTurn();
    turn.end();
    await turn.stop();
    expect(turn.isStopped).toBe(true);
  });
});
