import { expect, test } from 'bun:test';
import { policyOf } from '../../test/retention/facts.ts';
import { countsAsPull, type Puller } from './pulls.ts';

const policy = policyOf({
  repositories: '**',
  default: 'keep',
  ignorePullsBy: { users: 'scan-*', robots: ['mirror'], userAgents: ['Trivy/**'] },
});

const somebody: Puller = { user: undefined, robot: undefined, userAgent: undefined };

test.each([
  [somebody, true],
  [{ ...somebody, user: 'alice', userAgent: 'containerd/2.0' }, true],
  [{ ...somebody, user: 'scan-1' }, false],
  [{ ...somebody, robot: 'scan-1' }, true],
  [{ ...somebody, robot: 'mirror' }, false],
  [{ ...somebody, user: 'alice', userAgent: 'Trivy/0.50 (linux/amd64)' }, false],
])('the pull by %j counts: %p', (puller, counts) => {
  expect(countsAsPull(policy, puller, 'GET')).toBe(counts);
  expect(countsAsPull(policy, puller, 'HEAD')).toBe(false);
});

test('a HEAD counts where the policy says so, and is ignored like any other pull', () => {
  const counting = { ...policy, countHeads: true };
  expect(countsAsPull(counting, somebody, 'HEAD')).toBe(true);
  expect(countsAsPull(counting, { ...somebody, user: 'scan-1' }, 'HEAD')).toBe(false);
});
