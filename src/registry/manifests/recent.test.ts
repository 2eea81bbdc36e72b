import { expect, test } from 'bun:test';
import { digestOf } from '../../oci/digest.ts';
import { parseRepositoryName, type RepositoryName } from '../../oci/names.ts';
import { parseReference, type Reference } from '../../oci/reference.ts';
import { type FoundManifest, RecentManifests } from './recent.ts';

function repository(text: string): RepositoryName {
  const name = parseRepositoryName(text);
  if (name === undefined) throw new Error(`${text} is not a repository name`);
  return name;
}

function referenceOf(text: string): Reference {
  const parsed = parseReference(text);
  if (!parsed.ok) throw new Error(parsed.message);
  return parsed.reference;
}

const app = repository('team/app');
const latest = referenceOf('latest');

function manifest(text: string, repo = app, reference = latest): FoundManifest {
  const bytes = Buffer.from(text);
  const tag = reference.kind === 'tag' ? reference.tag : undefined;
  return { repo, digest: digestOf('sha256', bytes), tag, mediaType: 'application/json', bytes };
}

/** A store of which only the number of its transactions matters. */
function storeAt(commits: number | undefined): { commits: number | undefined } {
  return { commits };
}

test('a manifest is remembered as long as nothing is committed', () => {
  const store = storeAt(7);
  const recent = new RecentManifests(store);
  const found = manifest('{}');
  recent.add(latest, found, 7);
  expect(recent.get(app, latest)).toBe(found);
  store.commits = 8;
  expect(recent.get(app, latest)).toBeUndefined();
  recent.add(latest, found, 8);
  expect(recent.get(app, latest)).toBe(found);
});

test('what was read before a commit is not remembered after it (R9)', () => {
  const store = storeAt(1);
  const recent = new RecentManifests(store);
  store.commits = 2;
  recent.add(latest, manifest('{}'), 1);
  expect(recent.get(app, latest)).toBeUndefined();
});

test('nothing remembered before a commit comes back when something is remembered after it', () => {
  const store = storeAt(1);
  const recent = new RecentManifests(store);
  recent.add(latest, manifest('{}'), 1);
  store.commits = 2;
  const other = referenceOf('other');
  recent.add(other, manifest('[]', app, other), 2);
  expect(recent.get(app, latest)).toBeUndefined();
});

test('a repository, a tag and a digest are each remembered for themselves', () => {
  const recent = new RecentManifests(storeAt(1));
  const text = '{"a":1}';
  const byDigest = referenceOf(digestOf('sha256', Buffer.from(text)));
  const others = repository('team/other');
  const all = [manifest(text), manifest(text, app, byDigest), manifest(text, others)] as const;
  recent.add(latest, all[0], 1);
  recent.add(byDigest, all[1], 1);
  recent.add(latest, all[2], 1);
  expect([recent.get(app, latest), recent.get(app, byDigest), recent.get(others, latest)]).toEqual([...all]);
  expect(recent.get(others, byDigest)).toBeUndefined();
});

test('nothing is remembered where other processes write', () => {
  const recent = new RecentManifests(storeAt(undefined));
  recent.add(latest, manifest('{}'), undefined);
  expect(recent.get(app, latest)).toBeUndefined();
});

test('neither large manifests nor any number of them are kept in memory', () => {
  const recent = new RecentManifests(storeAt(1));
  recent.add(latest, manifest('x'.repeat(1024 * 1024)), 1);
  expect(recent.get(app, latest)).toBeUndefined();
  const tags = Array.from({ length: 2000 }, (_, count) => referenceOf(`t${count}`));
  for (const tag of tags) recent.add(tag, manifest('{}', app, tag), 1);
  expect(tags.filter((tag) => recent.get(app, tag) !== undefined).length).toBeWithin(1, 1000);
});
