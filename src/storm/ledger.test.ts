import { describe, expect, test } from 'bun:test';
import { Content, type StormManifest } from './content.ts';
import { Ledger } from './ledger.ts';
import type { TagRecord } from './tag-record.ts';

const repository = 'storm/1';
const content = new Content({ seed: 1, process: 0, digests: 40 });
const [image, other] = content.manifests;
const index = content.manifests.find(({ children }) => children.length > 0);
if (image === undefined || other === undefined || index === undefined) throw new Error('the content lacks a manifest');

function push(ledger: Ledger, tag: TagRecord, manifest: StormManifest) {
  const target = { manifest, since: ledger.next() };
  return { target, attempt: tag.attempt(target) };
}

/** Pushes a manifest and has it acknowledged. */
function pushed(ledger: Ledger, manifest: StormManifest): TagRecord {
  const tag = ledger.tag(repository, 'tag');
  push(ledger, tag, manifest).attempt.acknowledged();
  return tag;
}

describe('a tag', () => {
  test('leads to what was acknowledged, and to nothing else', () => {
    const ledger = new Ledger();
    const tag = pushed(ledger, image);
    pushed(ledger, other);
    expect(tag.states.map((state) => state !== 'absent' && state.manifest.digest)).toEqual([other.digest]);
  });

  test('leads to either once the answer to its push was lost, and to one again with the next answer', () => {
    const ledger = new Ledger();
    const tag = pushed(ledger, image);
    push(ledger, tag, other).attempt.unanswered();
    expect([tag.states.length, tag.certain]).toEqual([2, undefined]);
    push(ledger, tag, other).attempt.acknowledged();
    expect(tag.certain?.manifest).toBe(other);
  });

  test('leads where it did when its push is refused', () => {
    const ledger = new Ledger();
    const tag = pushed(ledger, image);
    push(ledger, tag, other).attempt.refused();
    expect(tag.certain?.manifest).toBe(image);
  });

  test('may have been, for who watches it, all that it was meanwhile', () => {
    const ledger = new Ledger();
    const tag = pushed(ledger, image);
    using watch = tag.watch();
    pushed(ledger, other);
    tag.attempt('absent').acknowledged();
    expect(watch.states.map((state) => (state === 'absent' ? state : state.manifest))).toEqual([
      image,
      other,
      'absent',
    ]);
  });
});

describe('the delete of a digest', () => {
  test('takes the tags along that lead there', () => {
    const ledger = new Ledger();
    const tag = pushed(ledger, image);
    ledger.deleting(repository, image.digest)?.acknowledged();
    expect(tag.states).toEqual(['absent']);
  });

  test('leaves in doubt where a tag leads that was pushed meanwhile', () => {
    const ledger = new Ledger();
    const tag = ledger.tag(repository, 'tag');
    const { target, attempt } = push(ledger, tag, image);
    const deletion = ledger.deleting(repository, image.digest);
    attempt.acknowledged();
    deletion?.acknowledged();
    expect(tag.states).toEqual([target, 'absent']);
  });

  test('changes nothing when it is refused', () => {
    const ledger = new Ledger();
    const tag = pushed(ledger, image);
    const target = tag.certain;
    ledger.deleting(repository, image.digest)?.refused();
    expect(tag.certain).toBe(target);
    expect(target !== undefined && ledger.isPromisedWhole(repository, target)).toBe(true);
  });

  test('ends the promise for an index that lists it, until that is pushed again', () => {
    const ledger = new Ledger();
    const tag = pushed(ledger, index);
    const isWhole = () => tag.certain !== undefined && ledger.isPromisedWhole(repository, tag.certain);
    expect(isWhole()).toBe(true);
    const deletion = ledger.deleting(repository, index.children[0]?.digest ?? '');
    expect(isWhole()).toBe(false);
    deletion?.unanswered();
    expect(isWhole()).toBe(false);
    pushed(ledger, index);
    expect(isWhole()).toBe(true);
  });

  test('waits for another one of the same digest', () => {
    const ledger = new Ledger();
    const deletion = ledger.deleting(repository, image.digest);
    expect(ledger.deleting(repository, image.digest)).toBeUndefined();
    deletion?.unanswered();
    expect(ledger.deleting(repository, image.digest)).toBeDefined();
  });
});

test('a referrer must be there for as long as the tag has led to its subject since the push', () => {
  const ledger = new Ledger();
  const tag = pushed(ledger, image);
  const target = { manifest: content.referrerOf(image, 0), since: ledger.next() };
  ledger.referrerPushed({ tag, target, subject: image, isListed: true });
  expect(ledger.heldReferrers).toHaveLength(1);
  pushed(ledger, image);
  expect(ledger.heldReferrers).toHaveLength(1);
  pushed(ledger, other);
  pushed(ledger, image);
  expect(ledger.heldReferrers).toEqual([]);
});

test('processes share most of the content, and none has what another may delete', () => {
  const elsewhere = Array.from({ length: 20 }, (_unused, at) => new Content({ seed: 1, process: at + 1, digests: 40 }));
  const deletable = ({ ownBlobs, manifests }: Content): string[] =>
    [...ownBlobs, ...manifests.filter(({ isShared }) => !isShared)].map(({ digest }) => digest);
  const shared = content.sharedBlobs.map(({ digest }) => digest);
  const ours = new Set([...shared, ...content.manifests.map(({ digest }) => digest), ...deletable(content)]);
  for (const each of elsewhere) {
    expect(each.sharedBlobs.map(({ digest }) => digest)).toEqual(shared);
    expect(deletable(each).filter((digest) => ours.has(digest))).toEqual([]);
  }
});
