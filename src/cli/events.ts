import type { z } from 'zod';
import { parseDuration } from '../config/duration.ts';
import { followEvents, listEvents } from '../http/admin/events.ts';
import { StartupError } from '../startup-error.ts';
import { adminCommand, type Given } from './admin-command.ts';
import type { AdminClient } from './admin-client.ts';
import type { CommandDefinition } from './command-definition.ts';
import type { Printed } from './printed.ts';
import { PrintedEvents } from './printed-events.ts';
import { bytesText, Table, timeText } from './table.ts';

type Answer = z.output<typeof listEvents.answer>;
type Event = Answer['events'][number];

/** Events that are shown where neither a number nor a time says which, and where they are followed. */
const usualCount = 50;
const countBeforeFollowing = 10;
/** The newest events are held until all are there, so that they can be shown the oldest first. */
const mostNewest = 10_000;
const pageLength = 500;

const titles = ['AT (UTC)', 'WHAT', 'OF', 'BY', 'WHY'];

/** `wherry events`: what has happened, and what happens. */
export const defineEvents: CommandDefinition = (command, end) => {
  command
    .option('-f, --follow', 'go on with what happens, as it does')
    .option('--since <time>', 'from a time on (2030-01-31, 2030-01-31T12:00:00Z), or for so long until now (2h)')
    .option('--until <time>', 'up to a time')
    .option('--repo <glob>', 'of a repository, or of all that a glob names')
    .option('--kind <start>', 'of kinds that begin so: tag., manifest.pushed, access.denied (docs/events.md has all)')
    .option('--by <who>', 'by an identity (user:alice), a name or an address')
    .option('--tag <tag>', 'of a tag')
    .option('--digest <digest>', 'of a manifest or a blob')
    .option('-n, --lines <count>', `only the newest (default: ${usualCount} without --since)`);
  adminCommand(command, end, (admin, given) => Promise.resolve(new Events(admin, given, Date.now())));
};

class Events implements Printed {
  readonly #admin: AdminClient;
  readonly #filter: Readonly<Record<string, string | undefined>>;
  readonly #since: string | undefined;
  readonly #until: string | undefined;
  readonly #newest: number | undefined;
  readonly #isFollowing: boolean;

  /** @throws StartupError where a flag makes no sense */
  constructor(admin: AdminClient, { flags }: Given, now: number) {
    this.#admin = admin;
    const text = (name: string): string | undefined => (typeof flags[name] === 'string' ? flags[name] : undefined);
    this.#filter = {
      repository: text('repo'),
      kind: text('kind'),
      by: text('by'),
      tag: text('tag'),
      digest: text('digest'),
    };
    this.#isFollowing = flags['follow'] === true;
    this.#since = timeOf('--since', text('since'), now);
    this.#until = timeOf('--until', text('until'), now);
    if (this.#isFollowing && this.#until !== undefined)
      throw new StartupError('--follow has no end: leave --until out');
    const usual = this.#isFollowing ? countBeforeFollowing : usualCount;
    this.#newest = countOf(text('lines')) ?? (this.#since === undefined ? usual : undefined);
  }

  async *json(): AsyncGenerator<string> {
    for await (const events of this.#batches()) {
      for (const event of events) yield `${JSON.stringify(event)}\n`;
    }
  }

  async *text(): AsyncGenerator<string> {
    const table = new Table(titles);
    for await (const events of this.#batches()) if (events.length > 0) yield `${table.page(events.map(rowOf))}\n`;
    if (table.isEmpty) yield 'No event is like that.\n';
  }

  /** The oldest first. */
  async *#batches(): AsyncGenerator<readonly Event[]> {
    const range = { since: this.#since, until: this.#until };
    const pages = this.#newest === undefined ? this.#from(range) : this.#newestOf(range, this.#newest);
    const printed = new PrintedEvents();
    for await (const { lastId, events, shown = events } of pages) {
      printed.add({ lastId, events });
      yield shown;
    }
    if (!this.#isFollowing) return;
    const query = { ...this.#filter, after: printed.after?.toString() };
    for await (const line of this.#admin.listen(followEvents, { query })) {
      if ('event' in line && printed.isNew(line.event) && this.#isInTime(line.event)) yield [line.event];
    }
  }

  /** Following may begin at older events. */
  #isInTime({ at }: Event): boolean {
    return this.#since === undefined || Date.parse(at) >= Date.parse(this.#since);
  }

  async *#from(range: Range): AsyncGenerator<Page> {
    for (let after: string | undefined; ;) {
      const query = { ...this.#filter, ...range, after, n: String(pageLength) };
      const page = await this.#admin.ask(listEvents, { query });
      yield page;
      if (page.next === undefined) return;
      after = page.next;
    }
  }

  async *#newestOf(range: Range, count: number): AsyncGenerator<Page> {
    const events: Event[] = [];
    let lastId: number | undefined;
    for (let after: string | undefined; ;) {
      const n = String(Math.max(1, Math.min(pageLength, count - events.length)));
      const query = { ...this.#filter, ...range, order: 'newest', after, n };
      const page = await this.#admin.ask(listEvents, { query });
      lastId ??= page.lastId;
      events.push(...page.events);
      after = page.next;
      if (after === undefined || events.length >= count) break;
    }
    yield { events: events.toReversed(), shown: events.slice(0, count).toReversed(), lastId: lastId ?? 0 };
  }
}

interface Page extends Pick<Answer, 'lastId'> {
  readonly events: readonly Event[];
  /** Those of them that are asked for; all where it is left out. */
  readonly shown?: readonly Event[];
}

interface Range {
  readonly since: string | undefined;
  readonly until: string | undefined;
}

/** A time, or a duration before now, in ISO 8601. @throws StartupError */
function timeOf(flag: string, text: string | undefined, now: number): string | undefined {
  if (text === undefined) return undefined;
  const ago = parseDuration(text);
  const at = ago.ok
    ? now - ago.ms
    : /^\d{4}-\d{2}-\d{2}(T[\d:.]+(Z|[+-]\d{2}:\d{2}))?$/.test(text)
      ? Date.parse(text)
      : NaN;
  if (!Number.isNaN(at) && at >= 0) return new Date(at).toISOString();
  throw new StartupError(
    `${flag} cannot be ${JSON.stringify(text)}: give a time such as 2030-01-31 or 2030-01-31T12:00:00Z, in UTC, or how long ago, such as 2h`,
  );
}

function countOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (/^\d{1,5}$/.test(text) && Number(text) <= mostNewest) return Number(text);
  throw new StartupError(`-n cannot be ${JSON.stringify(text)}: give a number up to ${mostNewest}, or use --since`);
}

function rowOf({ at, kind, result, repository, tag, digest, actor, reason, bytes }: Event): readonly string[] {
  const named = [repository, tag === undefined ? undefined : `:${tag}`].filter((part) => part !== undefined).join('');
  const of = digest === undefined ? named : `${named}${named === '' ? '' : ' '}${digest.slice(0, 19)}`;
  const why = [reason, bytes === undefined ? undefined : bytesText(bytes)].filter((part) => part !== undefined);
  return [timeText(at), result === 'refused' ? `${kind} (refused)` : kind, of, actor, why.join(', ')];
}
