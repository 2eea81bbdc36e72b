import { type Check, type Checked, keysPerPage } from '../check.ts';
import type { Finding } from '../finding.ts';
import { type CheckedQuota, quotaOf, quotasInForce } from '../quotas-in-force.ts';
import { finds, type Records } from '../records.ts';

// F15: what quotas count is what their repositories have. Each of the three compares one thing that is counted with what
// it is counted from: links with contents, contents and tags with sums.

function miscounted({ number, name }: CheckedQuota, about: string, message: string): Finding {
  return {
    code: 'F15',
    severity: 'leak',
    about: `quota ${name}${about === '' ? '' : `, ${about}`}`,
    message,
    advice: 'fsck --repair has the quota counted anew; until that is done, it refuses nothing',
    repair: { kind: 'recount-quota', quota: number },
  };
}

interface LinkKey {
  readonly repo: string;
  readonly digest: string;
}

/** A blob that a repository of a quota has is counted. */
export function quotaLinksCheck({ records }: Checked): Check<LinkKey> {
  return {
    name: 'links to count',
    keysAfter: async (after = { repo: '', digest: '' }) =>
      (await quotasInForce(records)).length === 0
        ? []
        : await records.all<LinkKey>(
            'select repo, digest from link where (repo, digest) > (?, ?) order by repo, digest limit ?',
            after.repo,
            after.digest,
            keysPerPage,
          ),
    look: ({ repo, digest }) =>
      records.snapshot(async () => {
        const quota = quotaOf(await quotasInForce(records), repo);
        if (quota?.isCounted !== true) return [];
        const scope = quota.isEach ? repo : '';
        const isThere = await finds(records, 'select 1 from link where repo = ? and digest = ?', repo, digest);
        const isCounted = await finds(
          records,
          'select 1 from quota_blob where quota = ? and repo = ? and digest = ?',
          quota.number,
          scope,
          digest,
        );
        return isThere && !isCounted ? [miscounted(quota, `${repo}@${digest}`, 'the blob is not counted')] : [];
      }),
  };
}

interface BlobKey {
  readonly quota: number;
  readonly repo: string;
  readonly digest: string;
}

/** A blob that is counted is one that so many repositories of the quota have, and has that size. */
export function quotaBlobsCheck({ records }: Checked): Check<BlobKey> {
  return {
    name: 'blobs counted',
    keysAfter: (after = { quota: 0, repo: '', digest: '' }) =>
      records.all<BlobKey>(
        `select quota, repo, digest from quota_blob where (quota, repo, digest) > (?, ?, ?)
         order by quota, repo, digest limit ?`,
        after.quota,
        after.repo,
        after.digest,
        keysPerPage,
      ),
    look: ({ quota: number, repo, digest }) =>
      records.snapshot(async () => {
        const quotas = await quotasInForce(records);
        const quota = quotas.find((one) => one.number === number);
        const [row] = await records.all<{ links: number; size: number; objectSize: number | null }>(
          `select links, size_bytes as size,
             (select max(object.size_bytes) from object where live_digest = quota_blob.digest) as "objectSize"
           from quota_blob where quota = ? and repo = ? and digest = ?`,
          number,
          repo,
          digest,
        );
        if (quota?.isCounted !== true || row === undefined) return [];
        const places = await records.all<{ repo: string }>('select repo from link where digest = ?', digest);
        const links = places.filter(
          (link) => (repo === '' || link.repo === repo) && quotaOf(quotas, link.repo) === quota,
        ).length;
        const about = repo === '' ? digest : `${repo}@${digest}`;
        if (links !== row.links) {
          return [miscounted(quota, about, `it is counted for ${row.links} repositories, and ${links} have it`)];
        }
        if (row.objectSize === null || row.objectSize === row.size) return [];
        return [miscounted(quota, about, `it is counted with ${row.size} bytes, and has ${row.objectSize}`)];
      }),
  };
}

interface UsageKey {
  readonly quota: number;
  /** Empty for what a quota's repositories have together. */
  readonly repo: string;
}

/** What is used of a quota is the sum of the blobs that are counted, and the number of tags. */
export function quotaUsageCheck({ records }: Checked): Check<UsageKey> {
  return {
    name: 'quotas',
    keysAfter: async (after) => {
      const quotas = await quotasInForce(records);
      for (const quota of quotas.toSorted((one, other) => one.number - other.number)) {
        const { number: given, repo = '' } = { number: after?.quota ?? 0, repo: after?.repo };
        if (given > quota.number || (given === quota.number && !quota.isEach)) continue;
        const last = given === quota.number ? repo : '';
        const keys = quota.isEach ? await repositoriesOf(records, quotas, quota, last) : [''];
        if (keys.length > 0) return keys.map((key) => ({ quota: quota.number, repo: key }));
      }
      return [];
    },
    look: ({ quota: number, repo }) =>
      records.snapshot(async () => {
        const quotas = await quotasInForce(records);
        const quota = quotas.find((one) => one.number === number);
        if (quota?.isCounted !== true) return [];
        const [counted = { bytes: 0, tags: 0 }] = await records.all<{ bytes: number; tags: number }>(
          'select bytes, tags from quota_usage where quota = ? and repo = ?',
          number,
          repo,
        );
        const [sum] = await records.all<{ bytes: number | null }>(
          'select sum(size_bytes) as bytes from quota_blob where quota = ? and repo = ?',
          number,
          repo,
        );
        const real = { bytes: sum?.bytes ?? 0, tags: await tagsIn(records, quotas, quota, repo) };
        return (['bytes', 'tags'] as const).flatMap((kind) =>
          counted[kind] === real[kind]
            ? []
            : [miscounted(quota, repo, `${counted[kind]} ${kind} are counted, and there are ${real[kind]}`)],
        );
      }),
  };
}

async function tagsIn(
  records: Records,
  quotas: readonly CheckedQuota[],
  quota: CheckedQuota,
  repo: string,
): Promise<number> {
  const tagsOf = async (one: string): Promise<number> => {
    const [counted] = await records.all<{ tags: number }>('select count(*) as tags from tag where repo = ?', one);
    return counted?.tags ?? 0;
  };
  if (repo !== '') return await tagsOf(repo);
  let tags = 0;
  for (let page = await repositoriesOf(records, quotas, quota, ''); page.length > 0;) {
    for (const one of page) tags += await tagsOf(one);
    page = await repositoriesOf(records, quotas, quota, page.at(-1) ?? '');
  }
  return tags;
}

/** Some of the repositories of a quota, after one of them; none where there are no more. */
async function repositoriesOf(
  records: Records,
  quotas: readonly CheckedQuota[],
  quota: CheckedQuota,
  after: string,
): Promise<readonly string[]> {
  for (let last = after; ;) {
    const rows = await records.all<{ name: string }>(
      'select name from repository where name > ? order by name limit ?',
      last,
      keysPerPage,
    );
    const page = rows.map(({ name }) => name);
    const its = page.filter((name) => quotaOf(quotas, name) === quota);
    if (its.length > 0 || page.length < keysPerPage) return its;
    last = page.at(-1) ?? last;
  }
}
