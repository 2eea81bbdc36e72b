import { expect, test } from 'bun:test';
import * as fc from 'fast-check';
import type { Digest } from '../../src/oci/digest.ts';
import type { TagName } from '../../src/oci/names.ts';
import type { PolicyDefinition, RuleDefinition } from '../../src/retention/definition.ts';
import type { DayOfPulls, Happening, ManifestPast, RepositoryHistory } from '../../src/retention/simulate/history.ts';
import { Simulation } from '../../src/retention/simulate/simulation.ts';
import { digestFor, policyOf, tagName } from './facts.ts';
import { naiveDays, replayNaively, signatureType } from './naive-simulation.ts';

const hour = 3_600_000;
const day = 24 * hour;
const start = Date.UTC(2030, 0, 1, 5);
const manifestCount = 7;
const digests = Array.from({ length: manifestCount }, (_, index) => digestFor(`manifest ${index}`));
const digestAt = (index: number): Digest => digests[index] ?? digestFor('none');

const names = ['v1.0.0', 'v1.1.0', '1.1.0', 'v2.0.0-rc.1', 'latest', 'main-1', 'main-2', 'x'].map(tagName);
const tagNames: readonly TagName[] = [...names, tagName(`${digestAt(0).replace(':', '-')}.sig`)];

/** What a manifest is; what it lists or is about is one before it. */
const anyManifest = fc.record({
  shape: fc.constantFrom('image', 'image', 'image', 'index', 'referrer'),
  other: fc.nat({ max: manifestCount }),
  blobs: fc.uniqueArray(fc.nat({ max: 6 }), { maxLength: 3 }),
  team: fc.constantFrom('a', 'b'),
  isSignature: fc.boolean(),
  isPinned: fc.constantFrom(false, false, false, false, false, false, true),
});

const anyTime = fc.oneof(
  fc.nat({ max: 20 }).map((step) => step * 12 * hour),
  fc.nat({ max: 10 * 24 * 60 }).map((minutes) => minutes * 60_000),
);

const anyHappening = fc.record({
  what: fc.constantFrom('pushed' as const, 'pushed' as const, 'pushed' as const, 'asked' as const, 'removed' as const),
  after: anyTime,
  tag: fc.option(fc.nat({ max: tagNames.length - 1 }), { nil: undefined, freq: 4 }),
  manifest: fc.nat({ max: manifestCount - 1 }),
});

const anyPulls = fc.record({
  after: anyTime,
  tag: fc.option(fc.nat({ max: tagNames.length - 1 }), { nil: undefined, freq: 2 }),
  manifest: fc.nat({ max: manifestCount - 1 }),
  pulls: fc.nat({ max: 5 }),
});

const anyHistory: fc.Arbitrary<RepositoryHistory> = fc
  .record({
    manifests: fc.array(anyManifest, { minLength: manifestCount, maxLength: manifestCount }),
    happenings: fc.array(anyHappening, { maxLength: 25 }),
    pulls: fc.array(anyPulls, { maxLength: 25 }),
    isPinned: fc.constantFrom(false, false, false, false, false, false, false, true),
    pinnedTag: fc.option(fc.constantFrom(...tagNames), { nil: undefined, freq: 3 }),
  })
  .map((given) => {
    const pasts = given.manifests.map(({ shape, other, blobs, team, isSignature, isPinned }, index): ManifestPast => {
      const target = other < index ? digestAt(other) : undefined;
      return {
        digest: digestAt(index),
        mediaType: 'application/vnd.oci.image.manifest.v1+json',
        artifactType: isSignature ? signatureType : null,
        labels: { team },
        annotations: {},
        subject: shape === 'referrer' && target !== undefined ? target : null,
        children: shape === 'index' && target !== undefined ? [target] : [],
        blobs: blobs.map((blob) => ({ digest: digestFor(`blob ${blob}`), sizeBytes: 2 ** blob })),
        isPinned,
      };
    });
    const listed = new Set(pasts.flatMap(({ children }) => children));
    const happenings = given.happenings
      .map(({ what, after, tag, manifest }): Happening => {
        const digest = digestAt(manifest);
        // What an index lists cannot be deleted.
        const isRefused = what === 'removed' && tag === undefined && listed.has(digest);
        return {
          what: isRefused ? 'pushed' : what,
          at: start + after,
          tag: tag === undefined ? undefined : tagNames[tag],
          digest,
        };
      })
      .toSorted((one, other) => one.at - other.at);
    const pulls = given.pulls
      .map(({ after, tag, manifest, pulls: count }): DayOfPulls => {
        const name = tag === undefined ? undefined : tagNames[tag];
        return { digest: digestAt(manifest), tag: name, pulls: count, lastAt: start + after };
      })
      .toSorted((one, other) => one.lastAt - other.lastAt);
    return {
      repo: 'app',
      manifests: new Map(pasts.map((past) => [past.digest, past])),
      happenings,
      pulls,
      isPinned: given.isPinned,
      pinnedTags: new Set(given.pinnedTag === undefined ? [] : [given.pinnedTag]),
    };
  });

const keep = 'keep' as const;
const prune = 'prune' as const;
const lengths = fc.constantFrom('12h', '1d', '2d', '4d');
const patterns = fc.constantFrom('v*', 'main-*', ['latest', 'x'], '*');
const anyRule: fc.Arbitrary<RuleDefinition> = fc.oneof(
  fc.record({ action: fc.constant(keep), mostRecentlyPushedCount: fc.nat({ max: 3 }) }),
  fc.record({ action: fc.constant(keep), tags: patterns, mostRecentlyPulledCount: fc.nat({ max: 2 }) }),
  fc.record({
    action: fc.constant(keep),
    mostRecentlyPushedCount: fc.constant(1),
    tagState: fc.constantFrom('any' as const, 'untagged' as const),
  }),
  fc.record({ action: fc.constant(keep), signed: fc.boolean(), mostRecentlyPushedCount: fc.constant(1) }),
  fc.record({ action: fc.constant(keep), groupBy: fc.constant('/(.+)-\\d/'), mostRecentlyPushedCount: fc.constant(1) }),
  fc.record({
    action: fc.constant(keep),
    semver: fc.record({
      newest: fc.constantFrom(1, 2),
      per: fc.constantFrom('repository' as const, 'major' as const),
      prereleases: fc.constantFrom('include' as const, 'exclude' as const),
    }),
    olderThan: fc.constantFrom('12h', '1d'),
  }),
  fc.record({ action: fc.constantFrom(keep, prune), tags: patterns, pulledWithin: lengths }),
  fc.record({ action: fc.constantFrom(keep, prune), tags: patterns, pushedWithin: lengths }),
  fc.record({ action: fc.constantFrom(keep, prune), tags: patterns, taggedWithin: lengths, olderThan: lengths }),
  fc.record({ action: fc.constantFrom(keep, prune), tags: patterns, notPulledFor: lengths }),
  fc.record({ action: fc.constantFrom(keep, prune), signed: fc.boolean() }),
  fc.record({ action: fc.constantFrom(keep, prune), labels: fc.constant({ team: 'a' }) }),
  fc.record({ action: fc.constantFrom(keep, prune), largerThan: fc.constantFrom('8B', '40B') }),
  fc.record({ action: fc.constant(prune), tagState: fc.constantFrom('any' as const, 'untagged' as const) }),
  fc.record({ action: fc.constantFrom(keep, prune), tags: patterns, budget: fc.constantFrom('16B', '64B') }),
);

const shares = fc.constantFrom(0, 20, 50, 100, 100);
const anyPolicy = fc
  .record({
    default: fc.constantFrom(keep, prune, prune),
    rules: fc.array(anyRule, { maxLength: 3 }),
    tags: shares,
    bytes: shares,
    mayPruneLastTag: fc.boolean(),
    grace: fc.constantFrom('0', '6h', '1d'),
    untaggedGrace: fc.constantFrom('0', '1d', '3d'),
  })
  .map(({ tags, bytes, mayPruneLastTag, grace, untaggedGrace, ...policy }) => ({
    shares: { tags, bytes },
    policy: {
      repositories: '**',
      ...policy,
      rails: { tagsPerDay: `${tags}%`, bytesPerDay: `${bytes}%`, mayPruneLastTag, grace, untaggedGrace },
    } satisfies PolicyDefinition,
  }));

const runs = Number(process.env['SIMULATE_RUNS'] ?? 400);

test('a simulation is exactly what a reference says that is written independently', () => {
  const seen = { prunings: 0, broken: 0, freed: 0, byDigest: 0 };
  fc.assert(
    fc.property(
      anyPolicy,
      fc.array(anyHistory, { minLength: 1, maxLength: 2 }),
      fc.option(anyHistory, { nil: undefined }),
      fc.constantFrom(0, 2 * day, 2 * day + 90 * 60_000),
      (given, histories, untried, sinceAfter) => {
        const span = { since: start + sinceAfter, now: start + 11 * day, lookEveryMs: 3 * hour };
        const simulation = new Simulation({
          policies: [policyOf(given.policy)],
          ...span,
          isTried: (repo) => repo !== 'untried',
        });
        const naive = histories.map((history) => replayNaively(history, { ...given, ...span }, span));
        const all = untried === undefined ? naive : [...naive, replayNaively(untried, undefined, span)];
        const outcomes = histories.map((history, index) => done(simulation.add({ ...history, repo: `app-${index}` })));
        if (untried !== undefined) done(simulation.add({ ...untried, repo: 'untried' }));
        const totals = done(simulation.totals());

        for (const [index, outcome] of outcomes.entries()) {
          const { prunings = [], freedBytes, broken = [] } = naive[index] ?? {};
          expect((outcome?.prunedTags ?? 0) + (outcome?.prunedManifests ?? 0)).toBe(prunings.length);
          expect(outcome?.freedBytes ?? 0).toBe(freedBytes ?? 0);
          const found = totals.worst
            .filter(({ repo }) => repo === `app-${index}`)
            .map(({ tag, digest, goneAt, pulls, days }) => ({
              name: String(tag ?? digest),
              goneAt,
              pulls,
              days: days.map((one) => one.day),
            }));
          expect(found.toSorted(byName)).toEqual(broken.toSorted(byName));
          expect(outcome?.brokenPulls ?? 0).toBe(broken.reduce((sum, { pulls }) => sum + pulls, 0));
          seen.prunings += prunings.length;
          seen.broken += broken.length;
          seen.byDigest += broken.filter(({ name }) => name.includes(':')).length;
        }
        expect(totals.days).toEqual(naiveDays(all, span));
        expect(totals.freedBytes).toBe(totals.days.reduce((sum, { freedBytes }) => sum + freedBytes, 0));
        if (totals.freedBytes > 0) seen.freed += 1;
      },
    ),
    { numRuns: runs },
  );
  // Else it shows nothing.
  for (const name of ['prunings', 'broken', 'freed', 'byDigest'] as const) {
    expect({ name, isEnough: seen[name] > runs / 30 }).toEqual({ name, isEnough: true });
  }
}, 600_000);

function done<T>(steps: Generator<undefined, T, undefined>): T {
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}

function byName(one: { name: string; goneAt: number }, other: { name: string; goneAt: number }): number {
  return one.name === other.name ? one.goneAt - other.goneAt : one.name < other.name ? -1 : 1;
}
