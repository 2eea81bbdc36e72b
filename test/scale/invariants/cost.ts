import { z } from 'zod';
import { operationOf, type S3Request } from '../injecting-proxy.ts';
import type { Beside } from './beside.ts';
import { contentTables } from './content-tables.ts';
import type { Findings } from './findings.ts';
import type { Change } from './noted-changes.ts';

/** The tables that grow with a registry. */
const growing = [...contentTables.filter((name) => name !== 'blocked'), 'task', 'event'];

const tableScans = z.object({ table: z.string(), scans: z.coerce.number() });

/** How often each table that grows was read from its beginning to its end, by all but those who look from beside. */
export async function scansOf(beside: Beside): Promise<ReadonlyMap<string, number>> {
  const sql = `select relname as table, seq_scan as scans from pg_stat_user_tables where relname = any($1)`;
  const rows = await beside.rows(tableScans, sql, growing);
  return new Map(rows.map(({ table, scans }) => [table, scans]));
}

/** No table that grows was read through since an earlier count. */
export async function lookForScans(
  beside: Beside,
  findings: Findings,
  before: ReadonlyMap<string, number>,
): Promise<void> {
  for (const [table, scans] of await scansOf(beside)) {
    findings.looked('I13');
    const times = scans - (before.get(table) ?? 0);
    if (times > 0) findings.found({ invariant: 'I13', words: `${table} was read through ${times} times` });
  }
}

/** What may be listed: one object with what lies beside it, and by a purge what was put aside (docs/s3.md). */
const listed = /^(objects\/..|quarantine)\/[0-9a-f]{32}|^quarantine\/$/;

/** No listing was of more than that. */
export function lookForListings(requests: readonly S3Request[], findings: Findings): void {
  for (const request of requests) {
    const operation = operationOf(request);
    if (operation !== 'ListObjects' && operation !== 'ListMultipartUploads') continue;
    const prefix = request.query.get('prefix') ?? '';
    findings.looked('I13');
    if (!listed.test(prefix)) {
      findings.found({ invariant: 'I13', words: `${operation} of all keys that begin with "${prefix}"` });
    }
  }
}

/** The events of which a transaction that has one takes something away. */
const removals = new Set([
  'tag.deleted',
  'manifest.deleted',
  'manifest.collected',
  'link.deleted',
  'link.collected',
  'blob.collected',
]);

/** So many rows a delete changes for itself, and so many for each edge, tag and referrer of what it deletes. */
const mostRows = { itself: 8, each: 5 };

/** No delete changed more rows than what it deleted had to do with. */
export function lookAtRowsOfDeletes(changes: readonly Change[], findings: Findings): void {
  const relations = new Map<string, Set<string>>();
  const relate = (repo: unknown, digest: unknown, to: string): void => {
    const key = `${String(repo)}@${String(digest)}`;
    relations.set(key, (relations.get(key) ?? new Set()).add(to));
  };
  for (const { about, after } of changes) {
    if (after === undefined) continue;
    const { repo } = after;
    if (about === 'manifest_blob') relate(repo, after['manifest'], `blob ${String(after['digest'])}`);
    if (about === 'manifest_child') {
      relate(repo, after['parent'], `child ${String(after['child'])}`);
      relate(repo, after['child'], `parent ${String(after['parent'])}`);
    }
    if (about === 'tag') relate(repo, after['manifest'], `tag ${String(after['name'])}`);
    if (about === 'manifest' && after['subject'] !== null) {
      relate(repo, after['subject'], `referrer ${String(after['digest'])}`);
    }
  }
  for (const [tx, rows] of Map.groupBy(changes, (change) => change.tx)) {
    const events = rows.filter(({ about, after }) => about === 'event' && removals.has(String(after?.['kind'])));
    const targets = new Set(events.map(({ after }) => `${String(after?.['repo'])}@${String(after?.['digest'])}`));
    if (targets.size === 0) continue;
    findings.looked('I13');
    const related = [...targets].reduce((sum, target) => sum + (relations.get(target)?.size ?? 0), 0);
    if (rows.length <= mostRows.itself + mostRows.each * related) continue;
    const what = events.map(({ after }) => String(after?.['kind'])).join(', ');
    findings.found({
      invariant: 'I13',
      words: `${what} in transaction ${tx} changed ${rows.length} rows for ${related} edges, tags and referrers`,
    });
  }
}
