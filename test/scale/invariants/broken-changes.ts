import type { Broken, Findings } from './findings.ts';
import type { Change, NotedTable, Row } from './noted-changes.ts';

/** From which states an object may come into each. */
const statesBefore: Readonly<Record<string, readonly string[]>> = {
  pending: [],
  live: ['pending'],
  condemned: ['live'],
  dead: ['pending', 'live', 'condemned'],
};

/** A transaction may have begun, and a change been made in it, before another was committed: so long, in ms, at most. */
const commitMs = 2000;

/** What a column has, in words. */
function text(row: Row | undefined, name: string): string {
  return String(row?.[name] ?? '');
}

/** A time, in ms since 1970; 0 where there is none. */
function time(row: Row, name: string): number {
  return Number(row[name] ?? 0);
}

const keysOf: Readonly<Record<NotedTable, readonly string[]>> = {
  object: ['oid'],
  upload: ['id'],
  link: ['repo', 'digest'],
  manifest: ['repo', 'digest'],
  manifest_blob: ['repo', 'manifest', 'digest'],
  manifest_child: ['repo', 'parent', 'child'],
  tag: ['repo', 'name'],
  tag_trash: ['repo', 'name', 'manifest'],
  blocked: ['digest'],
  purge: ['id'],
  task: ['kind', 'key1', 'key2'],
  event: ['id'],
};

interface Standing {
  readonly row: Row;
  /** When it became as it is, in ms since 1970. */
  readonly at: number;
}

/** Goes through all changes of a registry's rows, and judges each by the rows as they were then (I2, I8, I11). */
export function judgeChanges(changes: readonly Change[], findings: Findings): void {
  const replay = new Replay(changes, findings);
  for (const change of changes) replay.take(change);
}

class Replay {
  readonly #rows = new Map<NotedTable, Map<string, Standing>>();
  readonly #oids = new Set<string>();
  readonly #linksOf = new Map<string, Set<string>>();
  readonly #purges = new Set<string>();
  readonly #madeLive = new Set<string>();
  readonly #findings: Findings;

  constructor(changes: readonly Change[], findings: Findings) {
    this.#findings = findings;
    for (const { about, tx, before, after } of changes) {
      if (about === 'purge' && before === undefined) this.#purges.add(tx);
      if (about === 'object' && after?.['state'] === 'live') this.#madeLive.add(`${tx} ${text(after, 'digest')}`);
    }
  }

  take(change: Change): void {
    this.#judge(change);
    this.#follow(change);
  }

  #judge(change: Change): void {
    switch (change.about) {
      case 'object':
        this.#judgeObject(change);
        return;
      case 'link':
        this.#judgeLink(change);
        return;
      case 'manifest':
        if (change.after === undefined && change.before !== undefined) this.#judgeRemoval(change, change.before);
        return;
      case 'tag_trash':
        if (change.after === undefined && change.before !== undefined) this.#judgeTrashedTag(change, change.before);
        return;
      default:
    }
  }

  #judgeObject({ tx, before, after }: Change): void {
    const oid = text(after ?? before, 'oid');
    if (before === undefined) {
      this.#expect(!this.#oids.has(oid), { invariant: 'I2', words: `${oid} is used again` });
      this.#oids.add(oid);
      return;
    }
    const [was, is] = [text(before, 'state'), after === undefined ? 'gone' : text(after, 'state')];
    if (was === is) return;
    const isForward = is === 'gone' ? was === 'dead' : statesBefore[is]?.includes(was) === true;
    this.#expect(isForward, { invariant: 'I2', words: `${oid} went from ${was} to ${is}` });
    const digest = text(after ?? before, 'digest');
    if (is === 'live') {
      this.#expect(!this.#isBlocked(digest), { invariant: 'I11', words: `${digest} became live though it is blocked` });
    } else if (is === 'condemned') {
      const links = this.#linksOf.get(digest) ?? new Set();
      const words = `${digest} was condemned though ${[...links].join(', ')} has it`;
      this.#expect(links.size === 0, { invariant: 'I8', words });
    } else if (was === 'live') {
      const isTakenOver = this.#madeLive.has(`${tx} ${digest}`);
      const words = `${digest} died alive, and neither a purge nor another object took it away`;
      this.#expect(isTakenOver || this.#purges.has(tx), { invariant: 'I8', words });
    }
  }

  #judgeLink({ tx, at, before, after }: Change): void {
    const digest = text(after ?? before, 'digest');
    const link = `${digest} in ${text(after ?? before, 'repo')}`;
    if (after !== undefined) {
      this.#expect(!this.#isBlocked(digest), { invariant: 'I11', words: `${link} was linked though it is blocked` });
    } else if (before !== undefined && !this.#purges.has(tx)) {
      const isLeased = before['deleted_at'] === null && time(before, 'lease_until') > at;
      this.#expect(!isLeased, { invariant: 'I8', words: `the link of ${link} went inside its lease` });
    }
  }

  #judgeTrashedTag({ tx, at }: Change, before: Row): void {
    const repo = text(before, 'repo');
    const manifest = text(before, 'manifest');
    // A tag that is put there again needs no trash.
    const isBack = this.#standing('tag', repo, text(before, 'name')) !== undefined;
    const isEarly = time(before, 'purge_after') > at && !isBack && !this.#purges.has(tx);
    const words = `${repo}:${text(before, 'name')} of ${manifest} left the trash before its time`;
    this.#expect(!isEarly, { invariant: 'I8', words });
  }

  #judgeRemoval({ tx, at, begun_at: begunAt }: Change, before: Row): void {
    if (this.#purges.has(tx)) return;
    const repo = text(before, 'repo');
    const digest = text(before, 'digest');
    const expectNot = (isHeld: boolean, how: string): void =>
      this.#expect(!isHeld, { invariant: 'I8', words: `${digest} in ${repo} went though ${how}` });
    const isVisible = before['state'] === 'live';
    expectNot(isVisible && time(before, 'lease_until') > at, 'its lease went on');
    expectNot(time(before, 'trash_until') > at, 'its time in the trash was not over');
    const tags = this.#all('tag').filter(({ row }) => row['repo'] === repo);
    expectNot(
      tags.some(({ row }) => row['manifest'] === digest),
      'it had a tag',
    );
    expectNot(
      this.#all('manifest_child').some(({ row }) => row['repo'] === repo && row['present_child'] === digest),
      'an index listed it',
    );
    const subject = text(before, 'subject');
    const isOfTagged = tags.some(({ row, at: since }) => row['manifest'] === subject && since + commitMs < begunAt);
    expectNot(isVisible && isOfTagged, 'what it refers to had a tag');
  }

  #follow({ about, at, before, after }: Change): void {
    const rows = this.#rows.get(about) ?? new Map<string, Standing>();
    this.#rows.set(about, rows);
    const key = keysOf[about].map((name) => text(after ?? before, name)).join(' ');
    if (after === undefined) rows.delete(key);
    else rows.set(key, { row: after, at });
    if (about !== 'link') return;
    const digest = text(after ?? before, 'digest');
    const links = this.#linksOf.get(digest) ?? new Set();
    this.#linksOf.set(digest, links);
    if (after === undefined) links.delete(text(before, 'repo'));
    else links.add(text(after, 'repo'));
  }

  #isBlocked(digest: string): boolean {
    return this.#standing('blocked', digest) !== undefined;
  }

  #standing(table: NotedTable, ...key: readonly string[]): Standing | undefined {
    return this.#rows.get(table)?.get(key.join(' '));
  }

  #all(table: NotedTable): readonly Standing[] {
    return [...(this.#rows.get(table)?.values() ?? [])];
  }

  #expect(holds: boolean, broken: Broken): void {
    this.#findings.looked(broken.invariant);
    if (!holds) this.#findings.found(broken);
  }
}
